// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DaicnToken} from "./DaicnToken.sol";
import {ProviderRegistry} from "./ProviderRegistry.sol";
import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {GovernorCountingSimple} from "@openzeppelin/contracts/governance/extensions/GovernorCountingSimple.sol";
import {GovernorPreventLateQuorum} from "@openzeppelin/contracts/governance/extensions/GovernorPreventLateQuorum.sol";
import {GovernorSettings} from "@openzeppelin/contracts/governance/extensions/GovernorSettings.sol";
import {GovernorStorage} from "@openzeppelin/contracts/governance/extensions/GovernorStorage.sol";
import {GovernorTimelockControl} from "@openzeppelin/contracts/governance/extensions/GovernorTimelockControl.sol";
import {GovernorVotes} from "@openzeppelin/contracts/governance/extensions/GovernorVotes.sol";
import {
    GovernorVotesQuorumFraction
} from "@openzeppelin/contracts/governance/extensions/GovernorVotesQuorumFraction.sol";

/// @title DaicnGovernor
/// @notice Decides by the votes of tokens, staked ones included, on `Parameters`, on the treasury and on itself. It has
/// no handle on the settlement: no vote can touch a balance or a lane, or pause anything there.
contract DaicnGovernor is
    GovernorSettings,
    GovernorCountingSimple,
    GovernorStorage,
    GovernorVotes,
    GovernorVotesQuorumFraction,
    GovernorPreventLateQuorum,
    GovernorTimelockControl
{
    /// @notice Tells the votes of staked tokens.
    ProviderRegistry public immutable REGISTRY;

    /// @notice The value is outside what the setting may ever be.
    error DaicnGovernor_OutOfBounds(uint256 value, uint256 low, uint256 high);

    /// @param token whose holders vote
    /// @param registry whose stakers vote
    /// @param timelock does what was decided
    constructor(DaicnToken token, ProviderRegistry registry, TimelockController timelock)
        Governor("DAICN Governor")
        GovernorSettings(1 days, 5 days, 2_500_000 ether)
        GovernorVotes(token)
        GovernorVotesQuorumFraction(4)
        GovernorPreventLateQuorum(2 days)
        GovernorTimelockControl(timelock)
    {
        REGISTRY = registry;
    }

    /// @dev A token is either held or staked, and the registry delegates none of those it holds, so none counts twice.
    function _getVotes(address account, uint256 timepoint, bytes memory params)
        internal
        view
        override(Governor, GovernorVotes)
        returns (uint256)
    {
        return super._getVotes(account, timepoint, params) + REGISTRY.getPastVotes(account, timepoint);
    }

    // ---- settings, within bounds that no vote can move ----

    function _setVotingDelay(uint48 delay) internal override {
        _check(delay, 1 hours, 7 days);
        super._setVotingDelay(delay);
    }

    function _setVotingPeriod(uint32 period) internal override {
        _check(period, 1 days, 14 days);
        super._setVotingPeriod(period);
    }

    function _setProposalThreshold(uint256 threshold) internal override {
        _check(threshold, 0, 10_000_000 ether);
        super._setProposalThreshold(threshold);
    }

    function _updateQuorumNumerator(uint256 numerator) internal override {
        _check(numerator, 2, 20);
        super._updateQuorumNumerator(numerator);
    }

    function _setLateQuorumVoteExtension(uint48 extension) internal override {
        _check(extension, 1 hours, 5 days);
        super._setLateQuorumVoteExtension(extension);
    }

    function _check(uint256 value, uint256 low, uint256 high) private pure {
        if (value < low || value > high) revert DaicnGovernor_OutOfBounds(value, low, high);
    }

    // ---- which of its parents answers ----

    /// @notice When voting on a proposal ends; later than at first if its quorum came late.
    /// @param proposalId which one
    /// @return Unix seconds
    function proposalDeadline(uint256 proposalId)
        public
        view
        override(Governor, GovernorPreventLateQuorum)
        returns (uint256)
    {
        return super.proposalDeadline(proposalId);
    }

    /// @notice Votes one needs to propose.
    /// @return base units
    function proposalThreshold() public view override(Governor, GovernorSettings) returns (uint256) {
        return super.proposalThreshold();
    }

    /// @notice Where a proposal stands.
    /// @param proposalId which one
    /// @return in the timelock's eyes too, once it is queued
    function state(uint256 proposalId) public view override(Governor, GovernorTimelockControl) returns (ProposalState) {
        return super.state(proposalId);
    }

    /// @notice Whether a proposal must be queued in the timelock.
    /// @param proposalId which one
    /// @return always true
    function proposalNeedsQueuing(uint256 proposalId)
        public
        view
        override(Governor, GovernorTimelockControl)
        returns (bool)
    {
        return super.proposalNeedsQueuing(proposalId);
    }

    function _propose(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        string memory description,
        address proposer
    ) internal override(Governor, GovernorStorage) returns (uint256) {
        return super._propose(targets, values, calldatas, description, proposer);
    }

    function _tallyUpdated(uint256 proposalId) internal override(Governor, GovernorPreventLateQuorum) {
        super._tallyUpdated(proposalId);
    }

    function _queueOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint48) {
        return super._queueOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _executeOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) {
        super._executeOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _cancel(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint256) {
        return super._cancel(targets, values, calldatas, descriptionHash);
    }

    function _executor() internal view override(Governor, GovernorTimelockControl) returns (address) {
        return super._executor();
    }
}
