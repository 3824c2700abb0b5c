// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title Ledger
/// @notice The books of the settlement: every movement between what is free, locked and earned, and nothing else. It
/// knows no token and no signature; who may ask for a movement is decided by the contract that holds the books.
/// @dev Only `credit` adds to the total and only `debit` and `settle` take from it.
library Ledger {
    using SafeCast for uint256;

    /// @notice Money of a payer that a signer may spend. The payer is known by the account's id alone, see `idOf`.
    struct Account {
        /// Signs locks and vouchers: a session key or an ERC-1271 contract. Zero: there is no such account.
        address signer;
        /// Neither locked nor paid, base units.
        uint96 free;
    }

    /// @notice What one account pays one receiver. Amounts are cumulative over the lane's whole life.
    struct Lane {
        /// Paid so far; never falls.
        uint88 paid;
        /// Paid for sure up to here: `cap - paid` is locked, when that is positive.
        uint88 cap;
        /// Counts unlocks, so that a lock which was signed before an unlock is void after it.
        uint16 epoch;
        /// From this time anybody may unlock the lane, Unix seconds; zero while nobody has asked to.
        uint32 unlockAt;
        /// When it last paid, Unix seconds.
        uint32 lastClaimAt;
    }

    /// @notice What a receiver has earned. Two totals that only grow, since clearing a slot makes the next claim dear.
    struct Earnings {
        uint128 claimed;
        uint128 settled;
    }

    struct State {
        mapping(bytes32 account => Account) accounts;
        mapping(bytes32 account => mapping(address receiver => Lane)) lanes;
        mapping(address receiver => Earnings) earnings;
    }

    /// @notice The account was never paid into.
    error Ledger_NoAccount(bytes32 account);
    /// @notice An account needs a signer.
    error Ledger_NoSigner();
    /// @notice There is less free than asked for.
    error Ledger_Insufficient(bytes32 account, uint256 free, uint256 needed);
    /// @notice The message was signed for another epoch of the lane.
    error Ledger_StaleEpoch(uint256 signed, uint256 current);
    /// @notice The lane was unlocked as often as it can be: what were locked in it now would never be free again.
    error Ledger_LastEpoch();
    /// @notice The lane is being unlocked, so it takes no lock that the payer could take back sooner than it seems.
    error Ledger_Unlocking(uint256 unlockAt);
    /// @notice Nobody has asked to unlock the lane.
    error Ledger_NotUnlocking();
    /// @notice The unlock was asked for too short a time ago.
    error Ledger_TooEarly(uint256 unlockAt);

    /// @notice The id of the account in which `signer` spends the money of `payer`.
    function idOf(address payer, address signer) internal pure returns (bytes32) {
        return keccak256(abi.encode(payer, signer));
    }

    /// @notice Adds to what is free, and opens the account with its first amount.
    function credit(State storage self, address payer, address signer, uint256 amount) internal returns (bytes32 id) {
        if (signer == address(0)) revert Ledger_NoSigner();
        id = idOf(payer, signer);
        Account storage account = self.accounts[id];
        (account.signer, account.free) = (signer, (account.free + amount).toUint96());
    }

    /// @notice Takes from what is free.
    function debit(State storage self, bytes32 id, uint256 amount) internal {
        Account storage account = self.accounts[id];
        uint256 free = account.free;
        if (amount > free) revert Ledger_Insufficient(id, free, amount);
        account.free = (free - amount).toUint96();
    }

    /// @notice Raises a lane's cap to `cap`, paid for by what is free. A cap that does not rise changes nothing.
    /// @return added what was locked, base units
    function lock(State storage self, bytes32 id, address receiver, uint256 cap, uint256 epoch)
        internal
        returns (uint256 added)
    {
        Lane storage lane = self.lanes[id][receiver];
        if (epoch != lane.epoch) revert Ledger_StaleEpoch(epoch, lane.epoch);
        if (epoch == type(uint16).max) revert Ledger_LastEpoch();
        if (lane.unlockAt != 0) revert Ledger_Unlocking(lane.unlockAt);
        uint256 covered = _max(lane.cap, lane.paid);
        if (cap <= covered) return 0;
        added = cap - covered;
        debit(self, id, added);
        lane.cap = cap.toUint88();
    }

    /// @notice Pays a lane up to the total `charged`: first what is locked for it, then what is free, as far as it goes.
    /// @return amount what was paid now, base units
    /// @return total what the lane has paid in all
    function pay(State storage self, bytes32 id, address receiver, uint256 charged)
        internal
        returns (uint256 amount, uint256 total)
    {
        Lane storage lane = self.lanes[id][receiver];
        (uint256 paid, uint256 cap) = (lane.paid, lane.cap);
        if (charged <= paid) return (0, paid);
        if (charged > cap) {
            uint256 covered = _max(cap, paid);
            uint256 fromFree = _min(charged - covered, self.accounts[id].free);
            charged = covered + fromFree;
            if (charged == paid) return (0, paid);
            debit(self, id, fromFree);
        }
        (lane.paid, lane.lastClaimAt) = (charged.toUint88(), block.timestamp.toUint32());
        return (charged - paid, charged);
    }

    /// @notice Books what was paid as earned, of which `fee` is another's.
    function earn(State storage self, address receiver, address feeReceiver, uint256 amount, uint256 fee) internal {
        self.earnings[receiver].claimed += (amount - fee).toUint128();
        if (fee > 0) self.earnings[feeReceiver].claimed += fee.toUint128();
    }

    /// @notice Takes out all that a receiver has earned.
    function settle(State storage self, address receiver) internal returns (uint256 amount) {
        Earnings storage earnings = self.earnings[receiver];
        amount = earnings.claimed - earnings.settled;
        earnings.settled = earnings.claimed;
    }

    /// @notice Starts the time after which a lane may be unlocked.
    function requestUnlock(State storage self, bytes32 id, address receiver, uint256 unlockAt) internal {
        if (self.accounts[id].signer == address(0)) revert Ledger_NoAccount(id);
        Lane storage lane = self.lanes[id][receiver];
        if (lane.unlockAt != 0) revert Ledger_Unlocking(lane.unlockAt);
        lane.unlockAt = unlockAt.toUint32();
    }

    /// @notice Unlocks a lane whose time has come.
    function finalizeUnlock(State storage self, bytes32 id, address receiver) internal returns (uint256) {
        uint256 unlockAt = self.lanes[id][receiver].unlockAt;
        if (unlockAt == 0) revert Ledger_NotUnlocking();
        if (block.timestamp < unlockAt) revert Ledger_TooEarly(unlockAt);
        return _unlock(self, id, receiver);
    }

    /// @notice Unlocks a lane at once, for the receiver agreed to it in this epoch.
    function release(State storage self, bytes32 id, address receiver, uint256 epoch) internal returns (uint256) {
        uint256 current = self.lanes[id][receiver].epoch;
        if (epoch != current) revert Ledger_StaleEpoch(epoch, current);
        return _unlock(self, id, receiver);
    }

    /// @dev What is locked and unpaid becomes free again, and a new epoch voids every lock signed before.
    function _unlock(State storage self, bytes32 id, address receiver) private returns (uint256 freed) {
        Lane storage lane = self.lanes[id][receiver];
        (uint88 paid, uint88 cap) = (lane.paid, lane.cap);
        freed = cap > paid ? cap - paid : 0;
        (lane.cap, lane.epoch, lane.unlockAt) = (paid, lane.epoch + 1, 0);
        Account storage account = self.accounts[id];
        account.free = (account.free + freed).toUint96();
    }

    function _min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }

    function _max(uint256 a, uint256 b) private pure returns (uint256) {
        return a > b ? a : b;
    }
}
