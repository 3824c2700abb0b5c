// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DaicnSettlement} from "../../src/DaicnSettlement.sol";
import {DaicnToken} from "../../src/DaicnToken.sol";
import {Ledger} from "../../src/libraries/Ledger.sol";
import {Fee, HostileToken, IHook} from "../support/Parts.sol";
import {Pen} from "../support/Pen.sol";

/// @notice Payer, receiver and hook of a hostile token in one: from within a transfer it deposits, withdraws, claims and
/// settles again. Any of it may fail; the books must not.
contract HostileTokenHandler is Pen, IHook {
    uint256 private constant SIGNER_KEY = 0xa11ce;
    address private immutable SIGNER = vm.addr(SIGNER_KEY);
    HostileToken private immutable HOSTILE = new HostileToken();
    bytes32 private immutable ACCOUNT;
    uint256 private _depth;
    uint256 private _seed;

    constructor() {
        token = DaicnToken(address(HOSTILE));
        settlement = new DaicnSettlement(token, address(0x7e5), new Fee());
        token.approve(address(settlement), type(uint256).max);
        ACCOUNT = settlement.accountOf(address(this), SIGNER);
        settlement.deposit(address(this), SIGNER, 100 ether);
    }

    function deposit(uint256 seed) external {
        _act(seed, 0);
    }

    function withdraw(uint256 seed) external {
        _act(seed, 1);
    }

    function claim(uint256 seed) external {
        _act(seed, 2);
    }

    function settle(uint256 seed) external {
        _act(seed, 3);
    }

    function lock(uint256 seed) external {
        _act(seed, 4);
    }

    function setFee(uint256 seed) external {
        HOSTILE.setFee(seed % 3 == 0 ? 1 + seed % 50 : 0);
    }

    function setHook(uint256 seed) external {
        HOSTILE.setHook(seed % 3 == 0 ? address(0) : address(this));
    }

    function onTransfer(address, address, uint256) external {
        if (_depth >= 3) return;
        ++_depth;
        _act(_seed, _next() % 5);
        --_depth;
    }

    function check() external view {
        Ledger.Lane memory lane = settlement.lanes(ACCOUNT, address(this));
        uint256 sum = settlement.accounts(ACCOUNT).free;
        if (lane.cap > lane.paid) sum += lane.cap - lane.paid;
        sum += settlement.earnings(address(this)).claimed - settlement.earnings(address(this)).settled;
        require(token.balanceOf(address(settlement)) == sum, "balance = booked");
    }

    function _act(uint256 seed, uint256 action) private {
        _seed = seed;
        uint256 amount = _next() % 20 ether;
        Ledger.Lane memory lane = settlement.lanes(ACCOUNT, address(this));
        bytes memory call;
        if (action == 0) call = abi.encodeCall(settlement.deposit, (address(this), SIGNER, amount));
        if (action == 1) call = abi.encodeCall(settlement.withdraw, (SIGNER, amount));
        if (action == 2) {
            uint256 charged = lane.paid + amount;
            bytes memory voucher = _voucher(SIGNER_KEY, ACCOUNT, address(this), charged, charged);
            call = abi.encodeCall(settlement.claim, (address(this), voucher));
        }
        if (action == 3) call = abi.encodeCall(settlement.settle, (address(this)));
        if (action == 4) {
            uint256 cap = lane.cap + amount;
            bytes memory signature = _signLock(SIGNER_KEY, ACCOUNT, address(this), cap, lane.epoch);
            call = abi.encodeCall(settlement.lock, (ACCOUNT, address(this), cap, lane.epoch, signature));
        }
        (bool ok,) = address(settlement).call(call);
        ok;
    }

    function _next() private returns (uint256) {
        _seed = uint256(keccak256(abi.encode(_seed)));
        return _seed;
    }
}
