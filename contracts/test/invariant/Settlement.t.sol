// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "../support/Test.sol";
import {HostileTokenHandler} from "./HostileTokenHandler.sol";
import {SettlementHandler} from "./SettlementHandler.sol";

/// @notice What holds after any calls by anybody.
contract SettlementInvariants is Test {
    SettlementHandler private handler;

    function setUp() external {
        handler = new SettlementHandler();
        _target(address(handler));
    }

    /// forge-config: default.invariant.runs = 160
    /// forge-config: default.invariant.depth = 500
    function invariant_booksAreTrue() external {
        handler.check();
    }
}

/// @notice What holds when the token keeps a fee and calls back whoever it likes.
contract HostileTokenInvariants is Test {
    HostileTokenHandler private handler;

    function setUp() external {
        handler = new HostileTokenHandler();
        _target(address(handler));
    }

    /// forge-config: default.invariant.runs = 100
    /// forge-config: default.invariant.depth = 200
    function invariant_balanceIsWhatIsBooked() external view {
        handler.check();
    }
}
