// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DaicnSettlement} from "../../src/DaicnSettlement.sol";
import {DaicnToken} from "../../src/DaicnToken.sol";
import {Fee} from "./Parts.sol";
import {Pen} from "./Pen.sol";

/// @notice A settlement with one requester and one provider.
abstract contract SettlementTest is Pen {
    uint256 internal constant SIGNER_KEY = 0xa11ce;
    uint256 internal constant PROVIDER_KEY = 0xb0b;
    uint256 internal constant OPERATOR_KEY = 0x0b5;
    uint256 internal constant FORGER_KEY = 0xbad;
    address internal constant TREASURY = address(0x7e5);
    address internal constant PAYER = address(0xca5);

    Fee internal fee;
    address internal signer = vm.addr(SIGNER_KEY);
    address internal provider = vm.addr(PROVIDER_KEY);
    bytes32 internal account;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        token = new DaicnToken(address(this));
        fee = new Fee();
        settlement = new DaicnSettlement(token, TREASURY, fee);
        token.approve(address(settlement), type(uint256).max);
        account = settlement.accountOf(PAYER, signer);
    }

    function _free(bytes32 id) internal view returns (uint256) {
        return settlement.accounts(id).free;
    }

    function _earned(address receiver) internal view returns (uint256) {
        return settlement.earnings(receiver).claimed - settlement.earnings(receiver).settled;
    }

    function _lock(uint256 cap) internal {
        uint256 epoch = settlement.lanes(account, provider).epoch;
        settlement.lock(account, provider, cap, epoch, _signLock(SIGNER_KEY, account, provider, cap, epoch));
    }

    function _claim(uint256 charged) internal returns (uint256) {
        vm.prank(provider);
        return settlement.claim(provider, _voucher(SIGNER_KEY, account, provider, charged, charged));
    }
}
