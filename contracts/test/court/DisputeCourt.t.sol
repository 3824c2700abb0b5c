// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DaicnSettlement} from "../../src/DaicnSettlement.sol";
import {DaicnToken} from "../../src/DaicnToken.sol";
import {DisputeCourt} from "../../src/DisputeCourt.sol";
import {Parameters} from "../../src/Parameters.sol";
import {ProviderRegistry} from "../../src/ProviderRegistry.sol";
import {Committees} from "../../src/libraries/Committees.sol";
import {Pen} from "../support/Pen.sol";

contract DisputeCourtTest is Pen {
    uint256 private constant OPERATOR_KEY = 0x0b5;
    uint256 private constant SIGNER_KEY = 0xa11ce;
    address private constant PROVIDER = address(0xbee);
    address private constant REQUESTER = address(0xca5);
    address private constant CHALLENGER = address(0xc4a);
    address private constant TREASURY = address(0x7e5);
    uint256 private constant STAKE = 1000 ether;

    DisputeCourt private court;
    ProviderRegistry private registry;
    Parameters private parameters;
    uint256 private start;

    function setUp() external {
        vm.warp(1_800_000_000);
        vm.roll(1000);
        token = new DaicnToken(address(this));
        parameters = new Parameters(address(this));
        settlement = new DaicnSettlement(token, TREASURY, parameters);
        court = new DisputeCourt(token, settlement, parameters, TREASURY);
        registry = court.REGISTRY();
        token.approve(address(registry), type(uint256).max);
        token.approve(address(settlement), type(uint256).max);
        token.transfer(CHALLENGER, 1000 ether);
        vm.prank(CHALLENGER);
        token.approve(address(court), type(uint256).max);
        _register(PROVIDER, vm.addr(OPERATOR_KEY));
        start = block.timestamp;
        vm.warp(start + 1 days);
    }

    // ---- equivocation ----

    function test_equivocationMakesTheRequesterWholeFirst() external {
        _prove(_receipt("a", 10 ether), _receipt("b", 30 ether));
        vm.assertEq(court.awards(REQUESTER), 30 ether);
        vm.assertEq(court.awards(address(this)), (STAKE - 30 ether) / 5);
        vm.assertEq(court.awards(TREASURY), STAKE - 30 ether - (STAKE - 30 ether) / 5);
        vm.assertEq(registry.providers(PROVIDER).stake, 0);
        _booksAreTrue(0);
        vm.startPrank(REQUESTER);
        court.withdraw();
        vm.assertEq(token.balanceOf(REQUESTER), 30 ether);
        vm.expectRevert(abi.encodeWithSelector(DisputeCourt.DisputeCourt_NothingAwarded.selector, REQUESTER));
        court.withdraw();
    }

    function test_equivocationIsAnyDifferenceButTime() external {
        DisputeCourt.TaskReceipt memory a = _receipt("a", 1);
        DisputeCourt.TaskReceipt memory b = _receipt("a", 1);
        b.finishedAt -= 1;
        vm.expectRevert(DisputeCourt.DisputeCourt_NoFault.selector);
        this.prove(a, b, OPERATOR_KEY);
        b.request = "another";
        _prove(a, b);
        (a.attempt, b.attempt, b.request, b.units) = (2, 2, a.request, a.units + 1);
        registry.stake(PROVIDER, STAKE);
        _prove(a, b);
        (a.attempt, b.attempt, b.units, b.requester) = (3, 3, a.units, CHALLENGER);
        registry.stake(PROVIDER, STAKE);
        _prove(a, b);
        _booksAreTrue(0);
    }

    function test_equivocationIsPunishedOnce() external {
        registry.stake(PROVIDER, STAKE);
        _prove(_receipt("a", 10 ether), _receipt("b", 10 ether));
        vm.expectRevert();
        this.prove(_receipt("a", 10 ether), _receipt("c", 10 ether), OPERATOR_KEY);
        vm.assertEq(registry.providers(PROVIDER).stake, STAKE);
    }

    function test_equivocationRevertsWithNothingAtStake() external {
        vm.startPrank(PROVIDER);
        registry.requestUnbond(STAKE);
        vm.warp(start + 15 days);
        registry.finalizeUnbond(PROVIDER);
        vm.stopPrank();
        DisputeCourt.TaskReceipt memory a = _receipt("a", 1);
        DisputeCourt.TaskReceipt memory b = _receipt("b", 1);
        (a.finishedAt, b.finishedAt) = (block.timestamp, block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(DisputeCourt.DisputeCourt_NothingAtStake.selector, PROVIDER));
        this.prove(a, b, OPERATOR_KEY);
    }

    function test_equivocationRevertsWhenTheyAgree() external {
        DisputeCourt.TaskReceipt memory other = _receipt("b", 1);
        other.attempt = 2;
        vm.expectRevert(DisputeCourt.DisputeCourt_NoFault.selector);
        this.prove(_receipt("a", 1), _receipt("a", 1), OPERATOR_KEY);
        vm.expectRevert(DisputeCourt.DisputeCourt_NoFault.selector);
        this.prove(_receipt("a", 1), other, OPERATOR_KEY);
    }

    function test_equivocationRevertsForAForgedReceipt() external {
        bytes memory bad = abi.encodeWithSelector(
            DisputeCourt.DisputeCourt_BadStatement.selector, PROVIDER, _receipt("a", 1).finishedAt
        );
        vm.expectRevert(bad);
        this.prove(_receipt("a", 1), _receipt("b", 1), 0xbad);
    }

    function test_equivocationRevertsOutOfTime() external {
        DisputeCourt.TaskReceipt memory late = _receipt("b", 1);
        late.finishedAt = block.timestamp + 1;
        vm.expectRevert(
            abi.encodeWithSelector(DisputeCourt.DisputeCourt_BadStatement.selector, PROVIDER, late.finishedAt)
        );
        this.prove(_receipt("a", 1), late, OPERATOR_KEY);
        DisputeCourt.TaskReceipt memory a = _receipt("a", 1);
        DisputeCourt.TaskReceipt memory b = _receipt("b", 1);
        vm.warp(a.finishedAt + 14 days + 1);
        vm.expectRevert(abi.encodeWithSelector(DisputeCourt.DisputeCourt_BadStatement.selector, PROVIDER, a.finishedAt));
        this.prove(a, b, OPERATOR_KEY);
    }

    /// @dev External, so that a revert in the middle of it can be expected.
    function prove(DisputeCourt.TaskReceipt memory a, DisputeCourt.TaskReceipt memory b, uint256 key) external {
        court.proveEquivocation(a, _signReceipt(OPERATOR_KEY, a), b, _signReceipt(key, b));
    }

    // ---- overclaim ----

    function test_overclaimMakesThePayerWholeFirst() external {
        bytes32 account = _claimed(30 ether);
        vm.warp(block.timestamp + 1);
        DisputeCourt.LaneStatement memory statement = _statement(account, 10 ether, false);
        _overclaim(statement, REQUESTER);
        vm.assertEq(court.awards(REQUESTER), 20 ether);
        vm.assertEq(court.awards(address(this)), 36 ether);
        vm.assertEq(registry.providers(PROVIDER).stake, STAKE - 200 ether);
        bytes memory signature = _signStatement(statement);
        vm.expectRevert(DisputeCourt.DisputeCourt_NoFault.selector);
        court.proveOverclaim(statement, signature, REQUESTER, vm.addr(SIGNER_KEY));
        _booksAreTrue(0);
    }

    function test_overclaimFromAClosedLane() external {
        bytes32 account = _claimed(10 ether);
        DisputeCourt.LaneStatement memory closed = _statement(account, 10 ether, true);
        DisputeCourt.LaneStatement memory open = _statement(account, 10 ether, false);
        vm.warp(block.timestamp + 1);
        _claimed(12 ether);
        bytes memory signature = _signStatement(open);
        vm.expectRevert(DisputeCourt.DisputeCourt_NoFault.selector);
        court.proveOverclaim(open, signature, REQUESTER, vm.addr(SIGNER_KEY));
        _overclaim(closed, REQUESTER);
        vm.assertEq(registry.providers(PROVIDER).stake, STAKE - 20 ether);
    }

    function test_overclaimRevertsWhenNoMoreWasPaid() external {
        bytes32 account = _claimed(10 ether);
        vm.warp(block.timestamp + 1);
        DisputeCourt.LaneStatement memory statement = _statement(account, 10 ether, true);
        bytes memory signature = _signStatement(statement);
        vm.expectRevert(DisputeCourt.DisputeCourt_NoFault.selector);
        court.proveOverclaim(statement, signature, REQUESTER, vm.addr(SIGNER_KEY));
    }

    function test_overclaimRevertsForAnotherPayer() external {
        bytes32 account = _claimed(10 ether);
        DisputeCourt.LaneStatement memory statement = _statement(account, 1 ether, true);
        bytes memory signature = _signStatement(statement);
        vm.expectRevert(DisputeCourt.DisputeCourt_NoFault.selector);
        court.proveOverclaim(statement, signature, address(this), vm.addr(SIGNER_KEY));
    }

    // ---- wrong result ----

    function test_openHoldsBondAndStake() external {
        _open();
        vm.assertEq(token.balanceOf(CHALLENGER), 900 ether);
        vm.assertEq(registry.providers(PROVIDER).holds, 1);
        bytes memory signature = _signReceipt(OPERATOR_KEY, _receipt("a", 10 ether));
        vm.prank(CHALLENGER);
        vm.expectRevert();
        court.open(_receipt("a", 10 ether), signature);
        _booksAreTrue(100 ether);
    }

    function test_openRevertsAfterTheWindow() external {
        DisputeCourt.TaskReceipt memory receipt = _receipt("a", 10 ether);
        bytes memory signature = _signReceipt(OPERATOR_KEY, receipt);
        vm.warp(receipt.finishedAt + 24 hours + 1);
        vm.prank(CHALLENGER);
        vm.expectRevert(
            abi.encodeWithSelector(DisputeCourt.DisputeCourt_TooLate.selector, receipt.finishedAt + 24 hours)
        );
        court.open(receipt, signature);
    }

    function testFuzz_drawsEachOnceAndNoParty(bytes32 seed) external {
        vm.assume(seed != 0);
        _register(CHALLENGER, address(0x1));
        _register(REQUESTER, address(0x2));
        _registerVerifiers(5);
        _open();
        vm.roll(1002);
        vm.setBlockhash(1001, seed);
        court.draw(1);
        address[] memory verifiers = court.verifiersOf(1);
        vm.assertEq(verifiers.length, 5);
        for (uint256 i; i < 5; ++i) {
            vm.assertEq(registry.providers(verifiers[i]).holds, 1);
            vm.assertTrue(verifiers[i] != PROVIDER && verifiers[i] != CHALLENGER && verifiers[i] != REQUESTER);
        }
    }

    function test_drawRevertsBeforeItsBlock() external {
        _open();
        vm.roll(1001);
        vm.expectRevert(abi.encodeWithSelector(DisputeCourt.DisputeCourt_TooEarly.selector, 1002));
        court.draw(1);
    }

    function test_drawNamesAnotherBlock() external {
        _registerVerifiers(8);
        _open();
        vm.roll(2000);
        court.draw(1);
        vm.assertEq(court.verifiersOf(1).length, 0);
        vm.roll(2002);
        vm.setBlockhash(2001, keccak256("seed"));
        court.draw(1);
        vm.assertEq(court.verifiersOf(1).length, 5);
        vm.expectRevert(
            abi.encodeWithSelector(DisputeCourt.DisputeCourt_WrongStage.selector, DisputeCourt.Stage.Judging)
        );
        court.draw(1);
    }

    function test_tooFewVerifiersEndItUndecided() external {
        _registerVerifiers(6);
        _open();
        vm.roll(1002);
        vm.setBlockhash(1001, keccak256("seed"));
        court.draw(1);
        vm.assertEq(court.awards(CHALLENGER), 100 ether);
        vm.assertEq(registry.providers(PROVIDER).holds, 0);
        _booksAreTrue(0);
    }

    function test_commitIsForTheDrawnAlone() external {
        address[] memory verifiers = _drawn();
        bytes32 commitment = keccak256("commitment");
        vm.expectRevert(
            abi.encodeWithSelector(DisputeCourt.DisputeCourt_NotVerifier.selector, address(this), verifiers[0])
        );
        court.commit(1, verifiers[0], commitment);
        vm.prank(PROVIDER);
        vm.expectRevert(abi.encodeWithSelector(Committees.Committees_NotDrawn.selector, PROVIDER));
        court.commit(1, PROVIDER, commitment);
        vm.startPrank(verifiers[0]);
        court.commit(1, verifiers[0], commitment);
        vm.expectRevert(abi.encodeWithSelector(Committees.Committees_Again.selector, verifiers[0]));
        court.commit(1, verifiers[0], commitment);
        vm.stopPrank();
        address operator = registry.providers(verifiers[1]).operator;
        vm.prank(operator);
        court.commit(1, verifiers[1], commitment);
        vm.warp(block.timestamp + 6 hours);
        vm.prank(verifiers[2]);
        vm.expectRevert(abi.encodeWithSelector(DisputeCourt.DisputeCourt_TooLate.selector, block.timestamp));
        court.commit(1, verifiers[2], commitment);
    }

    function test_revealIsWhatWasCommitted() external {
        address[] memory verifiers = _drawn();
        address verifier = verifiers[0];
        bytes32 commitment = court.commitmentOf(1, verifier, true, "output", "salt");
        vm.prank(verifier);
        court.commit(1, verifier, commitment);
        vm.expectRevert(abi.encodeWithSelector(DisputeCourt.DisputeCourt_TooEarly.selector, block.timestamp + 6 hours));
        court.reveal(1, verifier, true, "output", "salt");
        vm.warp(block.timestamp + 6 hours);
        vm.expectRevert(abi.encodeWithSelector(Committees.Committees_BadReveal.selector, verifier));
        court.reveal(1, verifier, false, "output", "salt");
        court.reveal(1, verifier, true, "output", "salt");
        vm.expectRevert(abi.encodeWithSelector(Committees.Committees_Again.selector, verifier));
        court.reveal(1, verifier, true, "output", "salt");
        vm.expectRevert(abi.encodeWithSelector(DisputeCourt.DisputeCourt_TooEarly.selector, block.timestamp + 6 hours));
        court.resolve(1);
        vm.warp(block.timestamp + 6 hours);
        vm.expectRevert(abi.encodeWithSelector(DisputeCourt.DisputeCourt_TooLate.selector, block.timestamp));
        court.reveal(1, verifiers[1], true, "output", "salt");
    }

    function test_wrongByMajority() external {
        address[] memory verifiers = _judged(4, 1);
        // 200 from the provider, 10 from the one who stood alone: 50 to the requester, half of 160 to the four.
        vm.assertEq(court.awards(REQUESTER), 50 ether);
        vm.assertEq(court.awards(CHALLENGER), 100 ether + 80 ether);
        vm.assertEq(court.awards(verifiers[0]), 20 ether);
        vm.assertEq(court.awards(verifiers[4]), 0);
        vm.assertEq(registry.providers(verifiers[4]).stake, STAKE - 10 ether);
        vm.assertEq(registry.providers(PROVIDER).stake, STAKE - 200 ether);
        _booksAreTrue(0);
        _nobodyIsHeld(verifiers);
    }

    function test_rightByMajority() external {
        address[] memory verifiers = _judged(1, 3);
        // The bond of 100 and 20 from the one who stood alone and the one who was absent: half to the three.
        vm.assertEq(court.awards(PROVIDER), 60 ether);
        vm.assertEq(court.awards(verifiers[1]), 20 ether);
        vm.assertEq(court.awards(CHALLENGER), 0);
        vm.assertEq(registry.providers(PROVIDER).stake, STAKE);
        vm.assertEq(registry.providers(verifiers[0]).stake, STAKE - 10 ether);
        vm.assertEq(registry.providers(verifiers[4]).stake, STAKE - 10 ether);
        _booksAreTrue(0);
        _nobodyIsHeld(verifiers);
    }

    function test_noMajority() external {
        address[] memory verifiers = _judged(2, 2);
        vm.assertEq(court.awards(CHALLENGER), 100 ether);
        vm.assertEq(court.awards(TREASURY), 10 ether);
        vm.assertEq(registry.providers(verifiers[0]).stake, STAKE);
        vm.assertEq(registry.providers(verifiers[4]).stake, STAKE - 10 ether);
        vm.assertEq(registry.providers(PROVIDER).stake, STAKE);
        _booksAreTrue(0);
        _nobodyIsHeld(verifiers);
    }

    // ---- how they get there ----

    function _register(address provider, address operator) private {
        vm.prank(provider);
        registry.register(operator, "");
        registry.stake(provider, STAKE);
    }

    function _registerVerifiers(uint160 count) private {
        for (uint160 i; i < count; ++i) {
            _register(address(0x1000 + i), address(0x2000 + i));
        }
    }

    function _receipt(bytes32 output, uint256 charged) private view returns (DisputeCourt.TaskReceipt memory) {
        return
            DisputeCourt.TaskReceipt(PROVIDER, "task", 1, REQUESTER, "request", output, 7, charged, start + 1 days - 60);
    }

    function _prove(DisputeCourt.TaskReceipt memory a, DisputeCourt.TaskReceipt memory b) private {
        court.proveEquivocation(a, _signReceipt(OPERATOR_KEY, a), b, _signReceipt(OPERATOR_KEY, b));
    }

    /// @dev The provider claims up to `charged` from a lane of the requester.
    function _claimed(uint256 charged) private returns (bytes32 account) {
        address signer = vm.addr(SIGNER_KEY);
        settlement.deposit(REQUESTER, signer, 100 ether);
        account = settlement.accountOf(REQUESTER, signer);
        vm.prank(PROVIDER);
        settlement.claim(PROVIDER, _voucher(SIGNER_KEY, account, PROVIDER, charged, charged));
    }

    function _statement(bytes32 account, uint256 charged, bool closed)
        private
        view
        returns (DisputeCourt.LaneStatement memory)
    {
        return DisputeCourt.LaneStatement(PROVIDER, account, charged, block.timestamp, closed);
    }

    function _overclaim(DisputeCourt.LaneStatement memory statement, address payer) private {
        court.proveOverclaim(statement, _signStatement(statement), payer, vm.addr(SIGNER_KEY));
    }

    function _open() private {
        DisputeCourt.TaskReceipt memory receipt = _receipt("a", 50 ether);
        bytes memory signature = _signReceipt(OPERATOR_KEY, receipt);
        vm.prank(CHALLENGER);
        court.open(receipt, signature);
    }

    function _drawn() private returns (address[] memory) {
        _registerVerifiers(8);
        _open();
        vm.roll(1002);
        vm.setBlockhash(1001, keccak256("seed"));
        court.draw(1);
        return court.verifiersOf(1);
    }

    /// @dev The first `wrong` verifiers say wrong, the next `right` right, the others nothing.
    function _judged(uint256 wrong, uint256 right) private returns (address[] memory verifiers) {
        verifiers = _drawn();
        for (uint256 i; i < wrong + right; ++i) {
            bytes32 commitment = court.commitmentOf(1, verifiers[i], i < wrong, "output", "salt");
            vm.prank(verifiers[i]);
            court.commit(1, verifiers[i], commitment);
        }
        vm.warp(block.timestamp + 6 hours);
        for (uint256 i; i < wrong + right; ++i) {
            court.reveal(1, verifiers[i], i < wrong, "output", "salt");
        }
        if (wrong + right < verifiers.length) vm.warp(block.timestamp + 6 hours);
        court.resolve(1);
    }

    function _nobodyIsHeld(address[] memory verifiers) private view {
        vm.assertEq(registry.providers(PROVIDER).holds, 0);
        for (uint256 i; i < verifiers.length; ++i) {
            vm.assertEq(registry.providers(verifiers[i]).holds, 0);
        }
    }

    /// @dev The court holds what it has awarded and the bonds of open disputes.
    function _booksAreTrue(uint256 bonds) private view {
        uint256 sum = bonds + court.awards(PROVIDER) + court.awards(REQUESTER) + court.awards(CHALLENGER)
            + court.awards(TREASURY) + court.awards(address(this));
        for (uint160 i; i < 8; ++i) {
            sum += court.awards(address(0x1000 + i));
        }
        vm.assertEq(token.balanceOf(address(court)), sum);
        vm.assertEq(token.balanceOf(address(registry)), registry.totalStake());
    }

    function _signReceipt(uint256 key, DisputeCourt.TaskReceipt memory receipt) private view returns (bytes memory) {
        bytes32 typehash = keccak256(
            "TaskReceipt(address provider,bytes32 task,uint256 attempt,address requester,bytes32 request,bytes32 output,uint256 units,uint256 charged,uint256 finishedAt)"
        );
        return _signForCourt(key, keccak256(abi.encode(typehash, receipt)));
    }

    function _signStatement(DisputeCourt.LaneStatement memory statement) private view returns (bytes memory) {
        bytes32 typehash =
            keccak256("LaneStatement(address provider,bytes32 account,uint256 charged,uint256 at,bool closed)");
        return _signForCourt(OPERATOR_KEY, keccak256(abi.encode(typehash, statement)));
    }

    function _signForCourt(uint256 key, bytes32 message) private view returns (bytes memory) {
        bytes32 domain = _domain("DAICN Court", address(court));
        return _sign(key, keccak256(abi.encodePacked(hex"1901", domain, message)));
    }
}
