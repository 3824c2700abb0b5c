// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DaicnSettlement} from "../../src/DaicnSettlement.sol";
import {DaicnToken} from "../../src/DaicnToken.sol";
import {Ledger} from "../../src/libraries/Ledger.sol";
import {Fee, Wallet} from "../support/Parts.sol";
import {Pen} from "../support/Pen.sol";

/// @notice Plays requesters, providers and those who mean no good. What must work is called plainly, so that a revert
/// fails the run; what must not is tried, and then nothing may have changed.
contract SettlementHandler is Pen {
    /// @notice A requester: its account, and how its signer signs.
    struct Requester {
        address payer;
        address signer;
        uint256 key;
        bytes32 account;
    }

    /// @notice A message that was sent once, with the state of the lane it must leave alone from then on.
    struct Sent {
        bytes call;
        bytes32 account;
        address receiver;
        uint256 charged;
    }

    uint256 private constant FORGER_KEY = 0xbad;
    uint256 private constant RECEIVERS = 3;
    address public constant TREASURY = address(0x7e5);

    Fee private immutable FEE = new Fee();
    Requester[] private _requesters;
    uint256[] private _receiverKeys;
    address[] private _receivers;
    Sent[] private _sent;

    /// @notice The highest ceiling that was signed for a lane.
    mapping(bytes32 account => mapping(address receiver => uint256)) public ceilings;
    /// @notice What a lane had paid at the last check.
    mapping(bytes32 account => mapping(address receiver => uint256)) public lastPaid;
    mapping(address payer => uint256) public withdrawn;
    uint256 public deposited;
    uint256 private _seed;

    constructor() {
        vm.warp(1_800_000_000);
        token = new DaicnToken(address(this));
        settlement = new DaicnSettlement(token, TREASURY, FEE);
        token.approve(address(settlement), type(uint256).max);
        for (uint256 i = 1; i <= 3; ++i) {
            uint256 key = 0xa11ce + i;
            // The third signs by a contract, and has the same payer as the first.
            address signer = i == 3 ? address(new Wallet(vm.addr(key))) : vm.addr(key);
            address payer = vm.addr(0xca5 + (i - 1) % 2);
            _requesters.push(Requester(payer, signer, key, settlement.accountOf(payer, signer)));
            settlement.deposit(payer, signer, 1 ether);
            deposited += 1 ether;
        }
        _receiverKeys.push(0xb0b);
        _receiverKeys.push(0xb0c);
        // Drains its own account by a lane to itself, as far as nothing is locked for the others.
        _receiverKeys.push(0xca5);
        for (uint256 k; k < RECEIVERS; ++k) {
            _receivers.push(vm.addr(_receiverKeys[k]));
        }
    }

    // ---- what is meant to be ----

    function deposit(uint256 seed) external {
        Requester storage requester = _requester(seed);
        uint256 amount = _random(100 ether);
        settlement.deposit(requester.payer, requester.signer, amount);
        deposited += amount;
    }

    function withdraw(uint256 seed) external {
        Requester storage requester = _requester(seed);
        uint256 amount = _random(settlement.accounts(requester.account).free);
        vm.prank(requester.payer);
        settlement.withdraw(requester.signer, amount);
        withdrawn[requester.payer] += amount;
    }

    function lock(uint256 seed) external {
        Requester storage requester = _requester(seed);
        address receiver = _receiver();
        Ledger.Lane memory lane = settlement.lanes(requester.account, receiver);
        uint256 covered = lane.cap > lane.paid ? lane.cap : lane.paid;
        uint256 cap = covered + _random(settlement.accounts(requester.account).free);
        bytes32 digest = _lockDigest(requester.account, receiver, cap, lane.epoch);
        bytes memory call = abi.encodeCall(
            settlement.lock, (requester.account, receiver, cap, lane.epoch, _signature(requester, digest))
        );
        if (lane.unlockAt != 0) return _mustFail(call);
        _mustWork(call);
        require(
            settlement.lanes(requester.account, receiver).cap == (cap > covered ? cap : lane.cap),
            "a lock raises the cap"
        );
        _sent.push(Sent(call, requester.account, receiver, 0));
    }

    /// @dev A batch of vouchers, good and bad: each good one is paid in full within its cap, whatever is around it.
    function claim(uint256 seed) external {
        _seed = seed;
        address receiver = _receiver();
        uint256 count = 1 + _random(4);
        bytes memory vouchers;
        bytes32[] memory ids = new bytes32[](count);
        uint256[] memory due = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            Requester storage requester = _requesters[_random(_requesters.length - 1)];
            ids[i] = requester.account;
            (bytes memory voucher, uint256 charged) = _anyVoucher(requester, receiver);
            vouchers = abi.encodePacked(vouchers, voucher);
            uint256 cap = settlement.lanes(ids[i], receiver).cap;
            due[i] = charged < cap ? charged : cap;
            if (charged > 0 && charged <= cap) {
                bytes memory call = abi.encodeCall(settlement.claim, (receiver, voucher));
                _sent.push(Sent(call, ids[i], receiver, charged));
            }
        }
        vm.prank(receiver);
        settlement.claim(receiver, vouchers);
        for (uint256 i; i < count; ++i) {
            require(settlement.lanes(ids[i], receiver).paid >= due[i], "a claim within its cap is paid");
        }
    }

    function claimFor(uint256 seed) external {
        Requester storage requester = _requester(seed);
        uint256 index = _random(RECEIVERS - 1);
        (uint256 key, address receiver) = (_receiverKeys[index], _receivers[index]);
        (bytes memory voucher,) = _anyVoucher(requester, receiver);
        bytes memory signature = _signClaim(key, receiver, voucher, block.timestamp);
        settlement.claimFor(receiver, voucher, block.timestamp, signature);
        signature = _signClaim(FORGER_KEY, receiver, voucher, block.timestamp);
        _mustFail(abi.encodeCall(settlement.claimFor, (receiver, voucher, block.timestamp, signature)));
    }

    function settle(uint256 seed) external {
        _seed = seed;
        address receiver = _random(3) == 0 ? TREASURY : _receiver();
        Ledger.Earnings memory earnings = settlement.earnings(receiver);
        if (earnings.claimed > earnings.settled) settlement.settle(receiver);
    }

    function requestUnlock(uint256 seed) external {
        Requester storage requester = _requester(seed);
        address receiver = _receiver();
        if (settlement.lanes(requester.account, receiver).unlockAt != 0) return;
        vm.prank(requester.payer);
        settlement.requestUnlock(requester.signer, receiver);
    }

    /// @dev The race for what is locked: before its time nobody wins it, after its time anybody ends it.
    function finalizeUnlock(uint256 seed) external {
        Requester storage requester = _requester(seed);
        address receiver = _receiver();
        uint256 unlockAt = settlement.lanes(requester.account, receiver).unlockAt;
        bytes memory call = abi.encodeCall(settlement.finalizeUnlock, (requester.account, receiver));
        if (unlockAt == 0 || block.timestamp < unlockAt) return _mustFail(call);
        _mustWork(call);
        _sent.push(Sent(call, requester.account, receiver, 0));
    }

    function release(uint256 seed) external {
        Requester storage requester = _requester(seed);
        uint256 index = _random(RECEIVERS - 1);
        (uint256 key, address receiver) = (_receiverKeys[index], _receivers[index]);
        uint256 epoch = settlement.lanes(requester.account, receiver).epoch;
        uint256 deadline = block.timestamp + 365 days;
        bytes memory signature = _signRelease(key, requester.account, receiver, epoch, deadline);
        bytes memory call =
            abi.encodeCall(settlement.release, (requester.account, receiver, epoch, deadline, signature));
        _mustWork(call);
        _sent.push(Sent(call, requester.account, receiver, 0));
    }

    function setFee(uint256 seed) external {
        FEE.set(seed % 7 == 0 ? type(uint256).max : seed % 1000);
    }

    function warp(uint256 seed) external {
        vm.warp(block.timestamp + seed % 40 hours);
    }

    // ---- what is not ----

    function replay(uint256 seed) external {
        _seed = seed;
        if (_sent.length == 0) return;
        Sent storage sent = _sent[_random(_sent.length - 1)];
        bytes32 before = fingerprint();
        // A voucher within its cap was paid in full, so that nothing is left of it.
        vm.prank(sent.receiver);
        (bool ok,) = address(settlement).call(sent.call);
        // The payer may have asked for another unlock since, whose time has come; then it is no replay.
        if (bytes4(sent.call) == settlement.finalizeUnlock.selector && ok) return;
        require(fingerprint() == before, "a message sent again changes nothing");
    }

    function forgeLock(uint256 seed) external {
        Requester storage requester = _requester(seed);
        address receiver = _receiver();
        Ledger.Lane memory lane = settlement.lanes(requester.account, receiver);
        bytes memory signature = _signLock(FORGER_KEY, requester.account, receiver, lane.cap + 1, lane.epoch);
        _mustFail(
            abi.encodeCall(settlement.lock, (requester.account, receiver, uint256(lane.cap) + 1, lane.epoch, signature))
        );
    }

    /// @dev A lock of an epoch that is over, or has not begun.
    function reuseEpoch(uint256 seed) external {
        Requester storage requester = _requester(seed);
        address receiver = _receiver();
        Ledger.Lane memory lane = settlement.lanes(requester.account, receiver);
        uint256 epoch = lane.epoch > 0 && seed % 2 == 0 ? _random(lane.epoch - 1) : lane.epoch + 1;
        uint256 cap = uint256(lane.cap) + 1;
        bytes memory signature = _signature(requester, _lockDigest(requester.account, receiver, cap, epoch));
        _mustFail(abi.encodeCall(settlement.lock, (requester.account, receiver, cap, epoch, signature)));
    }

    function forgeRelease(uint256 seed) external {
        Requester storage requester = _requester(seed);
        address receiver = _receiver();
        uint256 epoch = settlement.lanes(requester.account, receiver).epoch;
        bytes memory signature = _signRelease(requester.key, requester.account, receiver, epoch, block.timestamp);
        _mustFail(abi.encodeCall(settlement.release, (requester.account, receiver, epoch, block.timestamp, signature)));
    }

    /// @dev The signer of an account, and anybody else, asks for the payer's money.
    function stealFree(uint256 seed) external {
        Requester storage requester = _requester(seed);
        address thief = seed % 2 == 0 ? requester.signer : _receiver();
        if (thief == requester.payer) return;
        vm.prank(thief);
        _mustFail(abi.encodeCall(settlement.withdraw, (requester.signer, 1)));
    }

    function claimForAnother(uint256 seed) external {
        Requester storage requester = _requester(seed);
        address receiver = _receiver();
        (bytes memory voucher,) = _anyVoucher(requester, receiver);
        _mustFail(abi.encodeCall(settlement.claim, (receiver, voucher)));
    }

    // ---- what the invariants read ----

    /// @notice All that the books hold.
    function booked() public view returns (uint256 sum) {
        for (uint256 i; i < _requesters.length; ++i) {
            bytes32 id = _requesters[i].account;
            sum += settlement.accounts(id).free;
            for (uint256 k; k < RECEIVERS; ++k) {
                Ledger.Lane memory lane = settlement.lanes(id, _receivers[k]);
                if (lane.cap > lane.paid) sum += lane.cap - lane.paid;
            }
        }
        for (uint256 k; k < RECEIVERS; ++k) {
            sum += _owed(_receivers[k]);
        }
        sum += _owed(TREASURY);
    }

    /// @notice One word that differs when anything in the books or any balance does.
    function fingerprint() public view returns (bytes32 state) {
        for (uint256 i; i < _requesters.length; ++i) {
            Requester storage requester = _requesters[i];
            state =
                keccak256(abi.encode(state, settlement.accounts(requester.account), token.balanceOf(requester.payer)));
            for (uint256 k; k < RECEIVERS; ++k) {
                address receiver = _receivers[k];
                Ledger.Lane memory lane = settlement.lanes(requester.account, receiver);
                state = keccak256(abi.encode(state, lane, settlement.earnings(receiver), token.balanceOf(receiver)));
            }
        }
    }

    function check() external {
        uint256 balance = token.balanceOf(address(settlement));
        require(balance == booked(), "balance = free + locked + earned + fees");
        uint256 outside = balance + token.balanceOf(address(this)) + token.balanceOf(TREASURY);
        for (uint256 k; k < RECEIVERS; ++k) {
            address receiver = _receivers[k];
            uint256 settled = settlement.earnings(receiver).settled;
            outside += settled + withdrawn[receiver];
            require(token.balanceOf(receiver) == settled + withdrawn[receiver], "a receiver has what it earned");
        }
        for (uint256 i; i < _requesters.length; ++i) {
            (bytes32 id, address payer) = (_requesters[i].account, _requesters[i].payer);
            if (payer != _receivers[2]) {
                require(token.balanceOf(payer) == withdrawn[payer], "a payer has what it took back");
                outside += withdrawn[payer];
            }
            for (uint256 k; k < RECEIVERS; ++k) {
                address receiver = _receivers[k];
                uint256 paid = settlement.lanes(id, receiver).paid;
                require(paid <= ceilings[id][receiver], "a lane pays what was signed for");
                require(lastPaid[id][receiver] <= paid, "what is paid never falls");
                lastPaid[id][receiver] = paid;
            }
        }
        require(outside == token.totalSupply(), "nobody else was paid");
    }

    function _owed(address receiver) private view returns (uint256) {
        Ledger.Earnings memory earnings = settlement.earnings(receiver);
        return earnings.claimed - earnings.settled;
    }

    /// @dev A voucher that is good (then `charged` is what it asks for), above its ceiling, or forged (then it is zero).
    function _anyVoucher(Requester storage requester, address receiver)
        private
        returns (bytes memory voucher, uint256 charged)
    {
        Ledger.Lane memory lane = settlement.lanes(requester.account, receiver);
        uint256 locked = lane.cap > lane.paid ? lane.cap - lane.paid : 0;
        uint256 ceiling = lane.paid + _random(locked + 10 ether);
        charged = _random(3) == 0 ? _random(ceiling) : ceiling;
        bytes32 id = requester.account;
        bytes32 hash = _voucherDigest(id, receiver, ceiling);
        uint256 kind = _random(9);
        if (kind == 0) return (_voucher(FORGER_KEY, id, receiver, charged, ceiling), 0);
        if (kind == 1) return (_pack(id, charged, ceiling, _sign(FORGER_KEY, hash)), 0);
        bytes memory signature = _signature(requester, hash);
        if (ceilings[id][receiver] < ceiling) ceilings[id][receiver] = ceiling;
        if (kind == 2) return (_pack(id, ceilings[id][receiver] + 1, ceiling, signature), 0);
        return (_pack(id, charged, ceiling, signature), charged);
    }

    function _signature(Requester storage requester, bytes32 hash) private view returns (bytes memory) {
        if (requester.signer.code.length > 0) return abi.encodePacked(_sign(requester.key, hash), uint8(0));
        (bytes32 r, bytes32 vs) = vm.signCompact(requester.key, hash);
        return abi.encodePacked(r, vs);
    }

    function _mustWork(bytes memory call) private {
        (bool ok,) = address(settlement).call(call);
        require(ok, "what is allowed must work");
    }

    /// @dev What reverts has changed nothing.
    function _mustFail(bytes memory call) private {
        (bool ok,) = address(settlement).call(call);
        require(!ok, "what is not allowed must fail");
    }

    function _requester(uint256 seed) private returns (Requester storage) {
        _seed = seed;
        return _requesters[_random(_requesters.length - 1)];
    }

    function _receiver() private returns (address) {
        return _receivers[_random(RECEIVERS - 1)];
    }

    /// @dev From 0 to `max`, the next number of this call's seed.
    function _random(uint256 max) private returns (uint256) {
        _seed = uint256(keccak256(abi.encode(_seed)));
        return _seed % (max + 1);
    }
}
