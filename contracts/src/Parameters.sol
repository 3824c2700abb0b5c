// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IFeeSource} from "./DaicnSettlement.sol";

/// @title Parameters
/// @notice The numbers that governance may change, each within bounds that it may not.
contract Parameters is IFeeSource {
    enum Name {
        /// The network's fee, hundredths of a percent of what providers earn.
        Fee,
        /// What a provider must stake to be active, base units.
        MinimumStake,
        /// How long after a task its result can be disputed, seconds.
        DisputeWindow,
        /// How long verifiers have to commit, and then again to reveal, seconds.
        VerifyPeriod,
        /// How many verifiers judge a result.
        Verifiers,
        /// What a challenger puts up, base units.
        ChallengeBond,
        /// What a wrong result costs its provider, hundredths of a percent of its stake.
        WrongResultSlash,
        /// What a verifier pays that was absent or alone in its verdict, base units.
        VerifierSlash,
        /// What a poster of receipts puts up, base units.
        PosterBond
    }

    /// @notice Sets the parameters: the timelock of the governor.
    address public immutable GOVERNANCE;

    mapping(Name name => uint256 value) private _values;

    /// @notice A parameter has a new value.
    event ParameterSet(Name indexed name, uint256 value);

    /// @notice Only governance may do that.
    error Parameters_NotGovernance(address caller);
    /// @notice The value is outside what the parameter may ever be.
    error Parameters_OutOfBounds(Name name, uint256 value, uint256 low, uint256 high);

    /// @param governance sets the parameters
    constructor(address governance) {
        GOVERNANCE = governance;
        _set(Name.Fee, 100);
        _set(Name.MinimumStake, 1000 ether);
        _set(Name.DisputeWindow, 24 hours);
        _set(Name.VerifyPeriod, 6 hours);
        _set(Name.Verifiers, 5);
        _set(Name.ChallengeBond, 100 ether);
        _set(Name.WrongResultSlash, 2000);
        _set(Name.VerifierSlash, 10 ether);
        _set(Name.PosterBond, 10_000 ether);
    }

    /// @notice Sets a parameter, within its bounds.
    /// @param name which one
    /// @param value in its own unit
    function set(Name name, uint256 value) external {
        if (msg.sender != GOVERNANCE) revert Parameters_NotGovernance(msg.sender);
        _set(name, value);
    }

    /// @notice The value of a parameter.
    /// @param name which one
    /// @return in its own unit
    function get(Name name) external view returns (uint256) {
        return _values[name];
    }

    /// @inheritdoc IFeeSource
    function feeBasisPoints() external view returns (uint256) {
        return _values[Name.Fee];
    }

    /// @notice What a parameter may be, both ends included.
    /// @param name which one
    /// @return low the least
    /// @return high the most
    function bounds(Name name) public pure returns (uint256 low, uint256 high) {
        if (name == Name.Fee) return (0, 500);
        if (name == Name.MinimumStake) return (100 ether, 1_000_000 ether);
        if (name == Name.DisputeWindow) return (12 hours, 72 hours);
        if (name == Name.VerifyPeriod) return (1 hours, 24 hours);
        if (name == Name.Verifiers) return (3, 11);
        if (name == Name.ChallengeBond) return (10 ether, 100_000 ether);
        if (name == Name.WrongResultSlash) return (0, 2000);
        if (name == Name.VerifierSlash) return (0, 100 ether);
        return (100 ether, 1_000_000 ether);
    }

    function _set(Name name, uint256 value) private {
        (uint256 low, uint256 high) = bounds(name);
        if (value < low || value > high) revert Parameters_OutOfBounds(name, value, low, high);
        _values[name] = value;
        emit ParameterSet(name, value);
    }
}
