// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DaicnToken} from "../../src/DaicnToken.sol";
import {Parameters} from "../../src/Parameters.sol";
import {ProviderRegistry} from "../../src/ProviderRegistry.sol";
import {Test} from "../support/Test.sol";

/// @notice Plays five providers, their court and those who mean no good. What must work is called plainly, so that a revert
/// fails the run.
contract RegistryHandler is Test {
    uint160 private constant PROVIDERS = 5;
    uint256 private constant MINIMUM = 1000 ether;

    DaicnToken private immutable TOKEN = new DaicnToken(address(this));
    ProviderRegistry private immutable REGISTRY;

    mapping(address provider => uint256) private _unbonded;
    uint256 private _seed;

    /// @dev Who deploys the registry is its court.
    constructor() {
        vm.warp(1_800_000_000);
        REGISTRY = new ProviderRegistry(TOKEN, new Parameters(address(this)));
        TOKEN.approve(address(REGISTRY), type(uint256).max);
        for (uint160 i = 1; i <= PROVIDERS; ++i) {
            vm.prank(address(i));
            REGISTRY.register(address(0x0b5), "");
        }
    }

    function stake(uint256 seed) external {
        address who = _provider(seed);
        REGISTRY.stake(who, _random(1500 ether));
    }

    function requestUnbond(uint256 seed) external {
        address who = _provider(seed);
        ProviderRegistry.Provider memory known = REGISTRY.providers(who);
        uint256 bonded = known.stake - known.unbonding;
        vm.startPrank(who);
        REGISTRY.requestUnbond(_random(bonded));
        _mustFail(abi.encodeCall(REGISTRY.requestUnbond, (bonded + 1)));
        vm.stopPrank();
    }

    /// @dev What is leaving leaves in its time, unless a dispute is open.
    function finalizeUnbond(uint256 seed) external {
        address who = _provider(seed);
        ProviderRegistry.Provider memory known = REGISTRY.providers(who);
        if (known.unbonding == 0 || block.timestamp < known.unbondsAt || known.holds > 0) {
            return _mustFail(abi.encodeCall(REGISTRY.finalizeUnbond, (who)));
        }
        REGISTRY.finalizeUnbond(who);
        _unbonded[who] += known.unbonding;
    }

    function slash(uint256 seed) external {
        address who = _provider(seed);
        uint256 before = REGISTRY.providers(who).stake;
        uint256 asked = _random(2000 ether);
        uint256 taken = REGISTRY.slash(who, asked);
        require(taken == (asked < before ? asked : before), "slash <= stake");
    }

    function hold(uint256 seed) external {
        address who = _provider(seed);
        if (REGISTRY.providers(who).holds > 0 && _random(2) > 0) REGISTRY.unhold(who);
        else REGISTRY.hold(who);
    }

    function delegate(uint256 seed) external {
        address who = _provider(seed);
        vm.prank(who);
        REGISTRY.delegate(_provider(_seed));
    }

    function warp(uint256 seed) external {
        vm.warp(block.timestamp + seed % 15 days);
    }

    /// @dev Another than the court slashes and holds, and one provider asks for the stake of another.
    function steal(uint256 seed) external {
        address who = _provider(seed);
        vm.startPrank(_provider(_seed));
        _mustFail(abi.encodeCall(REGISTRY.slash, (who, 1)));
        _mustFail(abi.encodeCall(REGISTRY.hold, (who)));
        _mustFail(abi.encodeCall(REGISTRY.unhold, (who)));
        vm.stopPrank();
    }

    function check() external view {
        uint256 sum;
        uint256 active;
        uint256 votes;
        uint256 unbonded;
        for (uint160 i = 1; i <= PROVIDERS; ++i) {
            address who = address(i);
            ProviderRegistry.Provider memory known = REGISTRY.providers(who);
            require(known.unbonding <= known.stake, "what is leaving is staked");
            require(TOKEN.balanceOf(who) == _unbonded[who], "a provider has what it took back");
            sum += known.stake;
            votes += REGISTRY.getVotes(who);
            unbonded += _unbonded[who];
            if (known.stake - known.unbonding < MINIMUM) {
                require(known.place == 0, "who has less cannot be drawn");
                continue;
            }
            ++active;
            require(REGISTRY.activeAt(known.place - 1) == who, "who has the minimum can be drawn, in one place");
        }
        require(active == REGISTRY.activeCount(), "nobody else can be drawn");
        require(votes == sum, "all stake votes, once");
        require(sum == REGISTRY.totalStake() && sum == TOKEN.balanceOf(address(REGISTRY)), "balance = stake");
        uint256 own = TOKEN.balanceOf(address(this));
        require(own + sum + unbonded == TOKEN.SUPPLY(), "what was slashed is the court's");
    }

    function _mustFail(bytes memory call) private {
        (bool ok,) = address(REGISTRY).call(call);
        require(!ok, "what is not allowed must fail");
    }

    function _provider(uint256 seed) private returns (address) {
        _seed = seed;
        return address(uint160(1 + _random(PROVIDERS - 1)));
    }

    /// @dev From 0 to `max`, the next number of this call's seed.
    function _random(uint256 max) private returns (uint256) {
        _seed = uint256(keccak256(abi.encode(_seed)));
        return _seed % (max + 1);
    }
}
