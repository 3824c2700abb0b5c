// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DaicnToken} from "./DaicnToken.sol";
import {Parameters} from "./Parameters.sol";
import {Votes} from "@openzeppelin/contracts/governance/utils/Votes.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title ProviderRegistry
/// @notice Who provides, by which key its agent signs, and what it has at stake. A provider is an address, which is also
/// paid by the settlement; its operator is the hot key of its agent.
///
/// Stake votes like the tokens it is made of. It leaves `UNBONDING` after it was asked for, and can be slashed until then,
/// by the court alone.
contract ProviderRegistry is EIP712, Votes {
    using SafeCast for uint256;
    using SafeERC20 for DaicnToken;

    struct Provider {
        /// Signs what the agent states, until `nextOperator` does.
        address operator;
        /// Disputes that are open: while there are any, no stake leaves.
        uint32 holds;
        /// Its place in the list of those who can be drawn as verifiers, from 1; zero while it is not active.
        uint32 place;
        /// Signs from `rotatesAt` on; zero when no rotation is under way.
        address nextOperator;
        uint40 rotatesAt;
        /// What it has at stake, unbonding included, base units.
        uint128 stake;
        /// The part of it that is leaving.
        uint128 unbonding;
        uint40 unbondsAt;
    }

    /// @notice How long stake can still be slashed after it was asked for.
    uint256 public constant UNBONDING = 14 days;
    /// @notice How long before a new operator signs, so that one who stole the provider's key is seen first.
    uint256 public constant ROTATION_DELAY = 1 hours;

    /// @notice What is staked.
    DaicnToken public immutable TOKEN;
    /// @notice Tells the minimum stake.
    Parameters public immutable PARAMETERS;
    /// @notice The one that may slash: who deployed this.
    address public immutable COURT;

    /// @notice All stake, base units.
    uint256 public totalStake;

    mapping(address provider => Provider) private _providers;
    /// @dev When a key began to sign for a provider, and when it stopped; zero while it has not.
    mapping(address provider => mapping(address operator => Tenure)) private _tenures;
    address[] private _active;

    struct Tenure {
        uint40 from;
        uint40 until;
    }

    /// @notice A provider is there, or has new metadata.
    event Registered(address indexed provider, address indexed operator, string metadata);
    /// @notice `operator` signs for the provider from `at` on.
    event OperatorRotated(address indexed provider, address indexed operator, uint256 at);
    /// @notice `amount` was added to the provider's stake.
    event Staked(address indexed provider, uint256 amount);
    /// @notice `amount` in all leaves the provider's stake at `at`.
    event UnbondRequested(address indexed provider, uint256 amount, uint256 at);
    /// @notice `amount` went back to the provider.
    event Unbonded(address indexed provider, uint256 amount);
    /// @notice The court took `amount` of the provider's stake.
    event Slashed(address indexed provider, uint256 amount);

    /// @notice The provider has not registered.
    error ProviderRegistry_NotRegistered(address provider);
    /// @notice The key is, or was, another operator of this provider, or none at all.
    error ProviderRegistry_BadOperator(address operator);
    /// @notice There is less stake than asked for.
    error ProviderRegistry_Insufficient(uint256 stake, uint256 needed);
    /// @notice It was asked for too short a time ago, or not at all.
    error ProviderRegistry_TooEarly(uint256 at);
    /// @notice A dispute is open.
    error ProviderRegistry_Held(uint256 disputes);
    /// @notice Only the court may do that.
    error ProviderRegistry_NotCourt(address caller);

    modifier onlyCourt() {
        if (msg.sender != COURT) revert ProviderRegistry_NotCourt(msg.sender);
        _;
    }

    /// @param token what is staked
    /// @param parameters tells the minimum stake
    constructor(DaicnToken token, Parameters parameters) EIP712("DAICN Registry", "1") {
        (TOKEN, PARAMETERS, COURT) = (token, parameters, msg.sender);
    }

    /// @notice Registers the caller, or replaces its metadata. Its votes are its own until it delegates them.
    /// @param operator the agent's key; counts the first time, `rotateOperator` changes it
    /// @param metadata a URL or a hash of what the provider says of itself
    function register(address operator, string calldata metadata) external {
        Provider storage provider = _providers[msg.sender];
        if (provider.operator == address(0)) {
            if (operator == address(0)) revert ProviderRegistry_BadOperator(operator);
            provider.operator = operator;
            _tenures[msg.sender][operator].from = _after(0);
            if (delegates(msg.sender) == address(0)) _delegate(msg.sender, msg.sender);
        }
        emit Registered(msg.sender, provider.operator, metadata);
    }

    /// @notice Lets another key sign for the caller, `ROTATION_DELAY` from now. What the old one signed until then still
    /// proves; a key that was replaced never comes back.
    /// @param operator the new key
    function rotateOperator(address operator) external {
        Provider storage provider = _registered(msg.sender);
        _finishRotation(msg.sender);
        if (operator == address(0) || _tenures[msg.sender][operator].from != 0) {
            revert ProviderRegistry_BadOperator(operator);
        }
        (provider.nextOperator, provider.rotatesAt) = (operator, _after(ROTATION_DELAY));
        emit OperatorRotated(msg.sender, operator, provider.rotatesAt);
    }

    /// @notice Adds to the stake of a registered provider, which may be another.
    /// @param provider whose stake
    /// @param amount base units, approved before
    function stake(address provider, uint256 amount) external {
        Provider storage staker = _registered(provider);
        staker.stake = (staker.stake + amount).toUint128();
        totalStake += amount;
        _transferVotingUnits(address(0), provider, amount);
        _updateActive(provider);
        emit Staked(provider, amount);
        TOKEN.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @notice Asks for stake back. What was asked for before waits again, together with this.
    /// @param amount base units
    function requestUnbond(uint256 amount) external {
        Provider storage provider = _registered(msg.sender);
        uint256 bonded = provider.stake - provider.unbonding;
        if (amount > bonded) revert ProviderRegistry_Insufficient(bonded, amount);
        provider.unbonding = (provider.unbonding + amount).toUint128();
        provider.unbondsAt = _after(UNBONDING);
        _updateActive(msg.sender);
        emit UnbondRequested(msg.sender, provider.unbonding, provider.unbondsAt);
    }

    /// @notice Pays out stake whose time has come. Anybody may call it, it goes to the provider alone.
    /// @param provider whose stake
    function finalizeUnbond(address provider) external {
        Provider storage leaver = _registered(provider);
        if (leaver.unbonding == 0 || block.timestamp < leaver.unbondsAt) {
            revert ProviderRegistry_TooEarly(leaver.unbondsAt);
        }
        if (leaver.holds > 0) revert ProviderRegistry_Held(leaver.holds);
        uint256 amount = leaver.unbonding;
        leaver.unbonding = 0;
        _remove(provider, amount);
        emit Unbonded(provider, amount);
        TOKEN.safeTransfer(provider, amount);
    }

    // ---- the court ----

    /// @notice Keeps a provider's stake where it is while a dispute is open.
    /// @param provider whose stake
    function hold(address provider) external onlyCourt {
        ++_registered(provider).holds;
    }

    /// @notice Ends what `hold` began.
    /// @param provider whose stake
    function unhold(address provider) external onlyCourt {
        --_registered(provider).holds;
    }

    /// @notice Takes stake to the court, as much as there is.
    /// @param provider whose stake
    /// @param amount base units
    /// @return taken base units, at most the stake
    function slash(address provider, uint256 amount) external onlyCourt returns (uint256 taken) {
        Provider storage slashed = _registered(provider);
        taken = amount < slashed.stake ? amount : slashed.stake;
        _remove(provider, taken);
        if (slashed.unbonding > slashed.stake) slashed.unbonding = slashed.stake;
        _updateActive(provider);
        emit Slashed(provider, taken);
        TOKEN.safeTransfer(COURT, taken);
    }

    // ---- what can be read ----

    /// @notice All that is known of a provider.
    /// @param provider which one
    /// @return zeros if it has not registered
    function providers(address provider) external view returns (Provider memory) {
        return _providers[provider];
    }

    /// @notice Whether a key signed for a provider at some time.
    /// @param provider for whom
    /// @param operator the key
    /// @param at Unix seconds
    /// @return true if it did
    function isOperatorAt(address provider, address operator, uint256 at) external view returns (bool) {
        Provider storage known = _providers[provider];
        if (operator == address(0)) return false;
        if (known.rotatesAt != 0) {
            if (operator == known.nextOperator) return at >= known.rotatesAt;
            if (operator == known.operator && at >= known.rotatesAt) return false;
        }
        Tenure storage tenure = _tenures[provider][operator];
        return tenure.from != 0 && at >= tenure.from && (tenure.until == 0 || at < tenure.until);
    }

    /// @notice How many providers can be drawn as verifiers.
    /// @return those with the minimum stake
    function activeCount() external view returns (uint256) {
        return _active.length;
    }

    /// @notice One of those who can be drawn as verifiers.
    /// @param index below `activeCount`
    /// @return the provider
    function activeAt(uint256 index) external view returns (address) {
        return _active[index];
    }

    /// @notice The clock of votes.
    /// @return Unix seconds
    function clock() public view override returns (uint48) {
        return uint48(block.timestamp);
    }

    /// @notice The clock of votes in the words of ERC-6372.
    /// @return those words
    // forge-lint: disable-next-line(mixed-case-function)
    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    // ---- inside ----

    function _getVotingUnits(address provider) internal view override returns (uint256) {
        return _providers[provider].stake;
    }

    function _registered(address provider) private view returns (Provider storage known) {
        known = _providers[provider];
        if (known.operator == address(0)) revert ProviderRegistry_NotRegistered(provider);
    }

    /// @dev A rotation that has come into force becomes the state; one that has not is given up.
    function _finishRotation(address provider) private {
        Provider storage known = _providers[provider];
        if (known.rotatesAt == 0 || block.timestamp < known.rotatesAt) return;
        _tenures[provider][known.operator].until = known.rotatesAt;
        _tenures[provider][known.nextOperator].from = known.rotatesAt;
        (known.operator, known.nextOperator, known.rotatesAt) = (known.nextOperator, address(0), 0);
    }

    function _remove(address provider, uint256 amount) private {
        _providers[provider].stake -= amount.toUint128();
        totalStake -= amount;
        _transferVotingUnits(provider, address(0), amount);
    }

    /// @dev Active is who has the minimum at stake that is not leaving. The last of the list takes a place that is freed.
    function _updateActive(address provider) private {
        Provider storage known = _providers[provider];
        bool active = known.stake - known.unbonding >= PARAMETERS.get(Parameters.Name.MinimumStake);
        if (active == (known.place != 0)) return;
        if (active) {
            _active.push(provider);
            known.place = _active.length.toUint32();
            return;
        }
        address last = _active[_active.length - 1];
        _active[known.place - 1] = last;
        _providers[last].place = known.place;
        known.place = 0;
        _active.pop();
    }

    function _after(uint256 delay) private view returns (uint40) {
        return (block.timestamp + delay).toUint40();
    }
}
