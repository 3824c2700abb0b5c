// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DaicnSettlement} from "../../src/DaicnSettlement.sol";
import {Ledger} from "../../src/libraries/Ledger.sol";
import {Wallet} from "../support/Parts.sol";
import {SettlementTest} from "../support/SettlementTest.sol";

contract LaneTest is SettlementTest {
    function setUp() public override {
        super.setUp();
        settlement.deposit(PAYER, signer, 100 ether);
    }

    // ---- lock ----

    function test_locksWhatIsFree() external {
        vm.expectEmit(address(settlement));
        emit DaicnSettlement.Locked(account, provider, 40 ether, 40 ether);
        _lock(40 ether);
        vm.assertEq(_free(account), 60 ether);
        vm.assertEq(settlement.lanes(account, provider).cap, 40 ether);
    }

    function test_lockSentAgainChangesNothing() external {
        _lock(40 ether);
        _lock(40 ether);
        vm.assertEq(_free(account), 60 ether);
    }

    function test_lockNeverFalls() external {
        _lock(40 ether);
        _lock(10 ether);
        vm.assertEq(_free(account), 60 ether);
        vm.assertEq(settlement.lanes(account, provider).cap, 40 ether);
    }

    function test_locksOnlyWhatIsNotPaidYet() external {
        _lock(10 ether);
        _claim(30 ether);
        _lock(50 ether);
        vm.assertEq(_free(account), 50 ether);
    }

    function test_lockRevertsBeyondWhatIsFree() external {
        bytes memory signature = _signLock(SIGNER_KEY, account, provider, 101 ether, 0);
        vm.expectRevert(abi.encodeWithSelector(Ledger.Ledger_Insufficient.selector, account, 100 ether, 101 ether));
        settlement.lock(account, provider, 101 ether, 0, signature);
    }

    function test_lockRevertsInAnotherEpoch() external {
        bytes memory signature = _signLock(SIGNER_KEY, account, provider, 1 ether, 1);
        vm.expectRevert(abi.encodeWithSelector(Ledger.Ledger_StaleEpoch.selector, 1, 0));
        settlement.lock(account, provider, 1 ether, 1, signature);
    }

    /// @dev A receiver can end epochs by itself, as fast as it pays for it: what is locked must be free again all the same.
    function test_lockRevertsInTheLastEpoch() external {
        _setEpoch(type(uint16).max - 1);
        _lock(40 ether);
        _requestUnlock();
        vm.warp(block.timestamp + 36 hours);
        settlement.finalizeUnlock(account, provider);
        vm.assertEq(_free(account), 100 ether);
        bytes memory signature = _signLock(SIGNER_KEY, account, provider, 1 ether, type(uint16).max);
        vm.expectRevert(Ledger.Ledger_LastEpoch.selector);
        settlement.lock(account, provider, 1 ether, type(uint16).max, signature);
        _claim(30 ether);
        vm.assertEq(settlement.lanes(account, provider).paid, 30 ether);
    }

    function test_lockRevertsWhileUnlocking() external {
        bytes memory signature = _signLock(SIGNER_KEY, account, provider, 1 ether, 0);
        vm.prank(PAYER);
        settlement.requestUnlock(signer, provider);
        vm.expectRevert(abi.encodeWithSelector(Ledger.Ledger_Unlocking.selector, block.timestamp + 36 hours));
        settlement.lock(account, provider, 1 ether, 0, signature);
    }

    function test_lockOfAContract() external {
        address wallet = address(new Wallet(signer));
        settlement.deposit(PAYER, wallet, 10 ether);
        bytes32 id = settlement.accountOf(PAYER, wallet);
        bytes memory signature = _signLock(SIGNER_KEY, id, provider, 4 ether, 0);
        vm.expectRevert(abi.encodeWithSelector(DaicnSettlement.DaicnSettlement_BadSignature.selector, wallet));
        settlement.lock(id, provider, 4 ether, 0, signature);
        settlement.lock(id, provider, 4 ether, 0, abi.encodePacked(signature, uint8(0)));
        vm.assertEq(_free(id), 6 ether);
    }

    function test_lockRevertsForAForgedSignature() external {
        bytes memory signature = _signLock(FORGER_KEY, account, provider, 1 ether, 0);
        vm.expectRevert(abi.encodeWithSelector(DaicnSettlement.DaicnSettlement_BadSignature.selector, signer));
        settlement.lock(account, provider, 1 ether, 0, signature);
    }

    function test_lockRevertsWithoutAccount() external {
        bytes32 nobody = settlement.accountOf(address(1), address(2));
        vm.expectRevert(abi.encodeWithSelector(DaicnSettlement.DaicnSettlement_BadSignature.selector, address(0)));
        settlement.lock(nobody, provider, 1, 0, new bytes(64));
    }

    // ---- unlock ----

    function test_unlocksAfterTheDelay() external {
        _lock(40 ether);
        _requestUnlock();
        vm.warp(block.timestamp + 36 hours);
        vm.expectEmit(address(settlement));
        emit DaicnSettlement.Unlocked(account, provider, 40 ether, 1);
        settlement.finalizeUnlock(account, provider);
        vm.assertEq(_free(account), 100 ether);
        vm.assertEq(settlement.lanes(account, provider).unlockAt, 0);
    }

    function test_unlockRevertsBeforeTheDelay() external {
        _lock(40 ether);
        _requestUnlock();
        uint256 unlockAt = block.timestamp + 36 hours;
        vm.warp(unlockAt - 1);
        vm.expectRevert(abi.encodeWithSelector(Ledger.Ledger_TooEarly.selector, unlockAt));
        settlement.finalizeUnlock(account, provider);
    }

    function test_unlockAskedForTwiceReverts() external {
        _requestUnlock();
        vm.expectRevert(abi.encodeWithSelector(Ledger.Ledger_Unlocking.selector, block.timestamp + 36 hours));
        vm.prank(PAYER);
        settlement.requestUnlock(signer, provider);
    }

    function test_unlockRevertsWithoutAccount() external {
        bytes32 nobody = settlement.accountOf(address(this), signer);
        vm.expectRevert(abi.encodeWithSelector(Ledger.Ledger_NoAccount.selector, nobody));
        settlement.requestUnlock(signer, provider);
    }

    function test_unlockGivesBackOnlyTheRest() external {
        _lock(40 ether);
        _requestUnlock();
        vm.warp(block.timestamp + 36 hours);
        vm.assertEq(_claim(25 ether), 25 ether);
        settlement.finalizeUnlock(account, provider);
        vm.assertEq(_free(account), 75 ether);
    }

    function test_unlockRevertsWhenNobodyAsked() external {
        _lock(40 ether);
        vm.expectRevert(Ledger.Ledger_NotUnlocking.selector);
        settlement.finalizeUnlock(account, provider);
    }

    function test_unlockVoidsEarlierLocks() external {
        bytes memory signature = _signLock(SIGNER_KEY, account, provider, 40 ether, 0);
        settlement.lock(account, provider, 40 ether, 0, signature);
        _requestUnlock();
        vm.warp(block.timestamp + 36 hours);
        settlement.finalizeUnlock(account, provider);
        vm.expectRevert(abi.encodeWithSelector(Ledger.Ledger_StaleEpoch.selector, 0, 1));
        settlement.lock(account, provider, 40 ether, 0, signature);
    }

    // ---- release ----

    function test_releaseUnlocksAtOnce() external {
        _lock(40 ether);
        _claim(10 ether);
        _release(_signRelease(PROVIDER_KEY, account, provider, 0, block.timestamp));
        vm.assertEq(_free(account), 90 ether);
        vm.assertEq(settlement.lanes(account, provider).epoch, 1);
    }

    function test_releaseEndsAnUnlock() external {
        _lock(40 ether);
        _requestUnlock();
        _release(_signRelease(PROVIDER_KEY, account, provider, 0, block.timestamp));
        vm.assertEq(settlement.lanes(account, provider).unlockAt, 0);
        vm.expectRevert(Ledger.Ledger_NotUnlocking.selector);
        settlement.finalizeUnlock(account, provider);
    }

    function test_releaseByTheOperator() external {
        _lock(40 ether);
        vm.prank(provider);
        settlement.setOperator(vm.addr(OPERATOR_KEY));
        _release(_signRelease(OPERATOR_KEY, account, provider, 0, block.timestamp));
        vm.assertEq(_free(account), 100 ether);
    }

    function test_releaseSentAgainReverts() external {
        _lock(40 ether);
        bytes memory signature = _signRelease(PROVIDER_KEY, account, provider, 0, block.timestamp);
        _release(signature);
        _lock(40 ether);
        vm.expectRevert(abi.encodeWithSelector(Ledger.Ledger_StaleEpoch.selector, 0, 1));
        _release(signature);
    }

    function test_releaseRevertsAfterItsDeadline() external {
        _lock(40 ether);
        bytes memory signature = _signRelease(PROVIDER_KEY, account, provider, 0, block.timestamp - 1);
        vm.expectRevert(abi.encodeWithSelector(DaicnSettlement.DaicnSettlement_Expired.selector, block.timestamp - 1));
        settlement.release(account, provider, 0, block.timestamp - 1, signature);
    }

    function test_releaseRevertsForAnother() external {
        _lock(40 ether);
        bytes memory signature = _signRelease(SIGNER_KEY, account, provider, 0, block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(DaicnSettlement.DaicnSettlement_BadSignature.selector, provider));
        _release(signature);
    }

    // ---- books ----

    /// forge-config: default.fuzz.runs = 1000
    function testFuzz_lockAndUnlockKeepTheSum(uint88 deposited, uint88 cap, uint88 charged) external {
        settlement.deposit(PAYER, signer, deposited);
        uint256 sum = 100 ether + uint256(deposited);
        cap = uint88(_bound(cap, 0, _bound(sum, 0, type(uint88).max)));
        _lock(cap);
        uint256 paid = charged == 0 ? 0 : _claim(charged);
        vm.assertEq(paid, charged < sum ? charged : sum);
        _requestUnlock();
        vm.warp(block.timestamp + 36 hours);
        settlement.finalizeUnlock(account, provider);
        vm.assertEq(_free(account) + paid, sum);
    }

    /// @dev As if the lane had been unlocked so often: `_ledger` is the settlement's slot 3, its lanes are the next one's, and the
    /// epoch follows on two numbers of 11 bytes.
    function _setEpoch(uint16 epoch) private {
        bytes32 slot = keccak256(abi.encode(provider, keccak256(abi.encode(account, 4))));
        vm.store(address(settlement), slot, bytes32(uint256(epoch) << 176));
        vm.assertEq(settlement.lanes(account, provider).epoch, epoch);
    }

    function _requestUnlock() private {
        vm.prank(PAYER);
        settlement.requestUnlock(signer, provider);
    }

    function _release(bytes memory signature) private {
        settlement.release(account, provider, 0, block.timestamp, signature);
    }
}
