// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";

/// @title DaicnTimelock
/// @notice Does what the governor decided, after a delay in which those who disagree can leave. It is also the treasury.
contract DaicnTimelock is TimelockController {
    /// @notice The least delay there can be.
    uint256 public constant LEAST_DELAY = 1 days;
    /// @notice The longest delay there can be.
    uint256 public constant LONGEST_DELAY = 30 days;

    /// @notice The delay is outside what it may ever be.
    error DaicnTimelock_OutOfBounds(uint256 delay);

    /// @param delay between decision and deed, seconds
    /// @param admin gives the governor its roles and then leaves
    constructor(uint256 delay, address admin) TimelockController(delay, new address[](0), _anybody(), admin) {
        _checkDelay(delay);
    }

    /// @notice Changes the delay; only by a decision of the governor.
    /// @param newDelay seconds, within bounds
    function updateDelay(uint256 newDelay) public override {
        _checkDelay(newDelay);
        super.updateDelay(newDelay);
    }

    function _checkDelay(uint256 delay) private pure {
        if (delay < LEAST_DELAY || delay > LONGEST_DELAY) revert DaicnTimelock_OutOfBounds(delay);
    }

    /// @dev What is due can be done by anybody.
    function _anybody() private pure returns (address[] memory executors) {
        executors = new address[](1);
    }
}
