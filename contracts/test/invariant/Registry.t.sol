// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "../support/Test.sol";
import {RegistryHandler} from "./RegistryHandler.sol";

/// @notice What holds of stake after any calls by anybody.
contract RegistryInvariants is Test {
    RegistryHandler private handler;

    function setUp() external {
        handler = new RegistryHandler();
        _target(address(handler));
    }

    /// forge-config: default.invariant.runs = 60
    /// forge-config: default.invariant.depth = 250
    function invariant_stakeIsTrue() external view {
        handler.check();
    }
}
