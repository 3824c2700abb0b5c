// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DaicnSettlement} from "../../src/DaicnSettlement.sol";
import {Vouchers} from "../../src/libraries/Vouchers.sol";
import {Chatterbox, GasEater, Mumbler, Wallet} from "../support/Parts.sol";
import {SettlementTest} from "../support/SettlementTest.sol";

contract ClaimTest is SettlementTest {
    function setUp() public override {
        super.setUp();
        settlement.deposit(PAYER, signer, 100 ether);
        _lock(40 ether);
    }

    function test_revertsForAnotherCaller() external {
        vm.expectRevert(
            abi.encodeWithSelector(DaicnSettlement.DaicnSettlement_NotReceiver.selector, address(this), provider)
        );
        settlement.claim(provider, "");
    }

    function test_operatorClaims() external {
        vm.prank(provider);
        settlement.setOperator(address(this));
        settlement.claim(provider, _voucher(SIGNER_KEY, account, provider, 1 ether, 1 ether));
        vm.assertEq(_earned(provider), 1 ether);
    }

    function testFuzz_revertsWhenCutShort(uint256 length) external {
        bytes memory vouchers = _voucher(SIGNER_KEY, account, provider, 1 ether, 1 ether);
        vouchers = abi.encodePacked(vouchers, vouchers);
        length = _bound(length, 121, 239);
        assembly ("memory-safe") {
            mstore(vouchers, length)
        }
        vm.prank(provider);
        vm.expectRevert(abi.encodeWithSelector(Vouchers.Vouchers_Truncated.selector, 120));
        settlement.claim(provider, vouchers);
    }

    function test_paysFromWhatIsLockedFirst() external {
        vm.expectEmit(address(settlement));
        emit DaicnSettlement.Claimed(account, provider, 30 ether);
        _claim(30 ether);
        vm.assertEq(_free(account), 60 ether);
        vm.assertEq(settlement.lanes(account, provider).lastClaimAt, block.timestamp);
    }

    function test_paysTheRestFromWhatIsFree() external {
        _claim(70 ether);
        vm.assertEq(_free(account), 30 ether);
        vm.assertEq(_claim(130 ether), 30 ether);
        vm.assertEq(_free(account), 0);
        vm.assertEq(settlement.lanes(account, provider).paid, 100 ether);
    }

    function test_paysTheRestOnceThereIsMore() external {
        _claim(130 ether);
        settlement.deposit(PAYER, signer, 50 ether);
        vm.assertEq(_claim(130 ether), 30 ether);
        vm.assertEq(_free(account), 20 ether);
    }

    function test_paysNothingAgain() external {
        _claim(30 ether);
        vm.assertEq(_claim(30 ether), 0);
        vm.assertEq(_claim(20 ether), 0);
        vm.assertEq(_earned(provider), 30 ether);
    }

    function test_paysWhatIsCharged() external {
        vm.prank(provider);
        settlement.claim(provider, _voucher(SIGNER_KEY, account, provider, 3 ether, 30 ether));
        vm.assertEq(_earned(provider), 3 ether);
    }

    function test_refusesMoreThanTheCeiling() external {
        vm.expectEmit(address(settlement));
        emit DaicnSettlement.Refused(account, provider, 30 ether + 1, 30 ether);
        vm.prank(provider);
        settlement.claim(provider, _voucher(SIGNER_KEY, account, provider, 30 ether + 1, 30 ether));
        vm.assertEq(_earned(provider), 0);
    }

    function test_refusesAForgedVoucherAndPaysTheOthers() external {
        bytes memory forged = _voucher(FORGER_KEY, account, provider, 39 ether, 39 ether);
        bytes memory signed = _voucher(SIGNER_KEY, account, provider, 10 ether, 10 ether);
        vm.prank(provider);
        settlement.claim(provider, abi.encodePacked(forged, signed, forged));
        vm.assertEq(_earned(provider), 10 ether);
    }

    function test_refusesAVoucherWithoutAccount() external {
        bytes32 nobody = settlement.accountOf(address(1), address(2));
        bytes memory empty = _pack(nobody, 1, 1, new bytes(64));
        vm.expectEmit(address(settlement));
        emit DaicnSettlement.Refused(nobody, provider, 1, 1);
        vm.prank(provider);
        settlement.claim(provider, empty);
    }

    function test_refusesAVoucherForAnotherReceiver() external {
        vm.prank(provider);
        settlement.claim(provider, _voucher(SIGNER_KEY, account, address(this), 10 ether, 10 ether));
        vm.assertEq(_earned(provider), 0);
    }

    function test_refusesAVoucherForAnotherContract() external {
        bytes memory vouchers = _voucher(SIGNER_KEY, account, provider, 10 ether, 10 ether);
        settlement = new DaicnSettlement(token, TREASURY, fee);
        token.approve(address(settlement), 100 ether);
        settlement.deposit(PAYER, signer, 100 ether);
        vm.prank(provider);
        settlement.claim(provider, vouchers);
        vm.assertEq(_earned(provider), 0);
    }

    function test_longSignatureOfAKey() external {
        bytes memory signature = _sign(SIGNER_KEY, _voucherDigest(account, provider, 7 ether));
        vm.prank(provider);
        settlement.claim(provider, _pack(account, 7 ether, 7 ether, signature));
        vm.assertEq(_earned(provider), 7 ether);
    }

    function test_asksAContract() external {
        (bytes32 id,) = _contractAccount(address(new Wallet(signer)));
        bytes memory signature = _sign(SIGNER_KEY, _voucherDigest(id, provider, 7 ether));
        vm.startPrank(provider);
        settlement.claim(provider, _pack(id, 7 ether, 7 ether, signature));
        vm.assertEq(_earned(provider), 0);
        settlement.claim(provider, _pack(id, 7 ether, 7 ether, abi.encodePacked(signature, uint8(0))));
        vm.assertEq(_earned(provider), 7 ether);
    }

    function test_aContractCannotHoldUpTheOthers() external {
        bytes memory signed = _voucher(SIGNER_KEY, account, provider, 10 ether, 10 ether);
        (, bytes memory eater) = _contractAccount(address(new GasEater()));
        (, bytes memory chatter) = _contractAccount(address(new Chatterbox()));
        (, bytes memory mumble) = _contractAccount(address(new Mumbler()));
        vm.prank(provider);
        settlement.claim{gas: 900_000}(provider, abi.encodePacked(eater, chatter, mumble, signed));
        vm.assertEq(_earned(provider), 10 ether);
    }

    function test_paysAllThatWasLockedFromAnEmptiedAccount() external {
        vm.prank(PAYER);
        settlement.withdraw(signer, 60 ether);
        vm.assertEq(_claim(50 ether), 40 ether);
    }

    function test_takesTheFeeFromTheProvider() external {
        fee.set(100);
        vm.expectEmit(address(settlement));
        emit DaicnSettlement.Earned(provider, 9.9 ether, 0.1 ether);
        vm.assertEq(_claim(10 ether), 9.9 ether);
        vm.assertEq(_earned(TREASURY), 0.1 ether);
        vm.assertEq(settlement.lanes(account, provider).paid, 10 ether);
    }

    /// forge-config: default.fuzz.runs = 1000
    function testFuzz_feeIsNeverAboveItsCeiling(uint256 basisPoints, uint88 charged) external {
        fee.set(basisPoints);
        charged = uint88(_bound(charged, 1, 40 ether));
        _claim(charged);
        vm.assertEq(_earned(provider) + _earned(TREASURY), charged);
        vm.assertLe(_earned(TREASURY) * 10_000, uint256(charged) * 500);
    }

    function test_takesNoFeeWhenItsSourceFails() external {
        fee.set(type(uint256).max);
        vm.assertEq(_claim(10 ether), 10 ether);
    }

    /// @dev The same vouchers, all at once in order, and one by one from the last: what is locked pays the same.
    function testFuzz_orderAndBatchingDoNotMatter(uint256 seed) external {
        fee.set(100);
        (uint256 inOrder, uint256 paidInOrder) = _claimMany(seed, true);
        settlement = new DaicnSettlement(token, TREASURY, fee);
        token.approve(address(settlement), type(uint256).max);
        (uint256 fromTheLast, uint256 paidFromTheLast) = _claimMany(seed, false);
        vm.assertEq(inOrder, fromTheLast);
        vm.assertEq(paidInOrder, paidFromTheLast);
    }

    /// @return paid by all lanes
    /// @return earned by all, fees included
    function _claimMany(uint256 seed, bool inOrder) private returns (uint256 paid, uint256 earned) {
        bytes[] memory vouchers = new bytes[](6);
        bytes memory batch;
        for (uint256 i; i < 6; ++i) {
            uint256 key = 0x5160 + i % 3;
            bytes32 id = settlement.accountOf(PAYER, vm.addr(key));
            if (i < 3) {
                settlement.deposit(PAYER, vm.addr(key), 50 ether);
                settlement.lock(id, provider, 50 ether, 0, _signLock(key, id, provider, 50 ether, 0));
            }
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 ceiling = seed % 50 ether;
            vouchers[i] = _voucher(key, id, provider, ceiling - (seed >> 128) % (ceiling + 1), ceiling);
            batch = abi.encodePacked(batch, vouchers[i]);
        }
        vm.startPrank(provider);
        if (inOrder) {
            settlement.claim(provider, batch);
        } else {
            for (uint256 i = 6; i > 0; --i) {
                settlement.claim(provider, vouchers[i - 1]);
            }
        }
        vm.stopPrank();
        for (uint256 i; i < 3; ++i) {
            paid += settlement.lanes(settlement.accountOf(PAYER, vm.addr(0x5160 + i)), provider).paid;
        }
        earned = _earned(provider) + _earned(TREASURY);
    }

    function test_claimForByTheReceiverOrItsOperator() external {
        bytes memory vouchers = _voucher(SIGNER_KEY, account, provider, 10 ether, 10 ether);
        settlement.claimFor(
            provider, vouchers, block.timestamp, _signClaim(PROVIDER_KEY, provider, vouchers, block.timestamp)
        );
        vm.assertEq(_earned(provider), 10 ether);
        vm.prank(provider);
        settlement.setOperator(vm.addr(OPERATOR_KEY));
        vouchers = _voucher(SIGNER_KEY, account, provider, 15 ether, 15 ether);
        settlement.claimFor(
            provider, vouchers, block.timestamp, _signClaim(OPERATOR_KEY, provider, vouchers, block.timestamp)
        );
        vm.assertEq(_earned(provider), 15 ether);
    }

    function test_claimForRevertsForAnother() external {
        bytes memory vouchers = _voucher(SIGNER_KEY, account, provider, 10 ether, 10 ether);
        bytes memory signature = _signClaim(SIGNER_KEY, provider, vouchers, block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(DaicnSettlement.DaicnSettlement_BadSignature.selector, provider));
        settlement.claimFor(provider, vouchers, block.timestamp, signature);
        vm.expectRevert(abi.encodeWithSelector(DaicnSettlement.DaicnSettlement_BadSignature.selector, provider));
        settlement.claimFor(provider, vouchers, block.timestamp, new bytes(64));
    }

    /// @dev Here nothing was in the word yet that its answer is written to, so what it left out reads as zeros.
    function test_claimForRevertsForAReceiverThatMumbles() external {
        address receiver = address(new Mumbler());
        vm.expectRevert(abi.encodeWithSelector(DaicnSettlement.DaicnSettlement_BadSignature.selector, receiver));
        settlement.claimFor(receiver, "", block.timestamp, new bytes(66));
    }

    function test_claimForRevertsForOtherVouchers() external {
        bytes memory vouchers = _voucher(SIGNER_KEY, account, provider, 10 ether, 10 ether);
        bytes memory signature = _signClaim(PROVIDER_KEY, provider, vouchers, block.timestamp);
        vouchers = _voucher(SIGNER_KEY, account, provider, 11 ether, 11 ether);
        vm.expectRevert(abi.encodeWithSelector(DaicnSettlement.DaicnSettlement_BadSignature.selector, provider));
        settlement.claimFor(provider, vouchers, block.timestamp, signature);
    }

    function test_claimForRevertsAfterItsDeadline() external {
        bytes memory signature = _signClaim(PROVIDER_KEY, provider, "", block.timestamp - 1);
        vm.expectRevert(abi.encodeWithSelector(DaicnSettlement.DaicnSettlement_Expired.selector, block.timestamp - 1));
        settlement.claimFor(provider, "", block.timestamp - 1, signature);
    }

    function test_settlePaysTheReceiver() external {
        fee.set(500);
        _claim(20 ether);
        vm.expectEmit(address(settlement));
        emit DaicnSettlement.Settled(provider, 19 ether);
        settlement.settle(provider);
        settlement.settle(TREASURY);
        vm.assertEq(token.balanceOf(provider), 19 ether);
        vm.assertEq(token.balanceOf(TREASURY), 1 ether);
        vm.expectRevert(abi.encodeWithSelector(DaicnSettlement.DaicnSettlement_NothingEarned.selector, provider));
        settlement.settle(provider);
    }

    /// @dev An account whose signer is a contract, and a voucher of it with a signature that is none.
    function _contractAccount(address wallet) private returns (bytes32 id, bytes memory voucher) {
        settlement.deposit(PAYER, wallet, 10 ether);
        id = settlement.accountOf(PAYER, wallet);
        voucher = _pack(id, 1 ether, 1 ether, "");
    }
}
