// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DaicnGovernor} from "../../src/DaicnGovernor.sol";
import {DaicnSettlement} from "../../src/DaicnSettlement.sol";
import {DaicnTimelock} from "../../src/DaicnTimelock.sol";
import {DaicnToken} from "../../src/DaicnToken.sol";
import {Parameters} from "../../src/Parameters.sol";
import {ProviderRegistry} from "../../src/ProviderRegistry.sol";
import {Test} from "../support/Test.sol";
import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";

contract DaicnGovernorTest is Test {
    address private constant WHALE = address(0xface);
    address private constant STAKER = address(0x57a4e);
    address private constant LATE = address(0x1a7e);

    DaicnToken private token;
    DaicnTimelock private timelock;
    Parameters private parameters;
    DaicnSettlement private settlement;
    ProviderRegistry private registry;
    DaicnGovernor private governor;

    function setUp() external {
        vm.warp(1_800_000_000);
        token = new DaicnToken(address(this));
        timelock = new DaicnTimelock(2 days, address(this));
        parameters = new Parameters(address(timelock));
        settlement = new DaicnSettlement(token, address(timelock), parameters);
        registry = new ProviderRegistry(token, parameters);
        governor = new DaicnGovernor(token, registry, timelock);
        timelock.grantRole(timelock.PROPOSER_ROLE(), address(governor));
        timelock.renounceRole(timelock.DEFAULT_ADMIN_ROLE(), address(this));
        token.transfer(WHALE, 100_000_000 ether);
        vm.prank(WHALE);
        token.delegate(WHALE);
        vm.warp(block.timestamp + 1);
    }

    function test_changesAParameter() external {
        uint256 id = _propose(address(parameters), _setFee(200));
        _passAndQueue(id);
        vm.warp(block.timestamp + 2 days - 1);
        vm.expectRevert();
        governor.execute(id);
        vm.warp(block.timestamp + 1);
        governor.execute(id);
        vm.assertEq(parameters.feeBasisPoints(), 200);
    }

    function test_cannotLeaveTheBounds() external {
        uint256 id = _propose(address(parameters), _setFee(501));
        _passAndQueue(id);
        vm.warp(block.timestamp + 2 days);
        vm.expectRevert(
            abi.encodeWithSelector(Parameters.Parameters_OutOfBounds.selector, Parameters.Name.Fee, 501, 0, 500)
        );
        governor.execute(id);
    }

    /// @dev The timelock is the treasury, so its own earnings are all that it can ever move.
    function test_cannotTouchTheSettlement() external {
        address payer = address(0xca5);
        address signer = address(0x519);
        token.approve(address(settlement), 10 ether);
        settlement.deposit(payer, signer, 10 ether);
        bytes32 account = settlement.accountOf(payer, signer);
        bytes[5] memory calls = [
            abi.encodeCall(settlement.withdraw, (signer, 1)),
            abi.encodeCall(settlement.requestUnlock, (signer, WHALE)),
            abi.encodeCall(settlement.lock, (account, address(timelock), 1 ether, 0, new bytes(64))),
            abi.encodeCall(settlement.settle, (address(timelock))),
            abi.encodeCall(settlement.claim, (WHALE, ""))
        ];
        for (uint256 i; i < calls.length; ++i) {
            uint256 id = _propose(address(settlement), calls[i]);
            _passAndQueue(id);
            vm.warp(block.timestamp + 2 days);
            vm.expectRevert();
            governor.execute(id);
        }
        vm.prank(payer);
        settlement.withdraw(signer, 10 ether);
        vm.assertEq(token.balanceOf(payer), 10 ether);
    }

    function test_countsStakeOnce() external {
        token.transfer(STAKER, 50_000_000 ether);
        vm.startPrank(STAKER);
        token.delegate(STAKER);
        registry.register(address(0x0b5), "");
        token.approve(address(registry), type(uint256).max);
        registry.stake(STAKER, 30_000_000 ether);
        vm.stopPrank();
        vm.warp(block.timestamp + 1);
        vm.assertEq(governor.getVotes(STAKER, block.timestamp - 1), 50_000_000 ether);
        vm.assertEq(token.getVotes(address(registry)), 0);
    }

    function test_failsWithoutQuorum() external {
        token.transfer(STAKER, 39_999_999 ether);
        vm.prank(STAKER);
        token.delegate(STAKER);
        vm.warp(block.timestamp + 1);
        uint256 id = _propose(address(parameters), _setFee(200));
        vm.warp(block.timestamp + 1 days + 1);
        vm.prank(STAKER);
        governor.castVote(id, 1);
        vm.warp(block.timestamp + 5 days);
        vm.assertTrue(governor.state(id) == IGovernor.ProposalState.Defeated);
    }

    function test_lateQuorumExtendsTheVote() external {
        uint256 id = _propose(address(parameters), _setFee(200));
        uint256 deadline = governor.proposalDeadline(id);
        vm.warp(deadline - 1);
        vm.prank(WHALE);
        governor.castVote(id, 1);
        vm.assertEq(governor.proposalDeadline(id), deadline - 1 + 2 days);
    }

    function test_keepsItsSettingsWithinBounds() external {
        bytes[9] memory calls = [
            abi.encodeCall(governor.setVotingDelay, (uint48(1 hours - 1))),
            abi.encodeCall(governor.setVotingDelay, (uint48(7 days + 1))),
            abi.encodeCall(governor.setVotingPeriod, (uint32(1 days - 1))),
            abi.encodeCall(governor.setVotingPeriod, (uint32(14 days + 1))),
            abi.encodeCall(governor.setProposalThreshold, (10_000_001 ether)),
            abi.encodeCall(governor.updateQuorumNumerator, (1)),
            abi.encodeCall(governor.updateQuorumNumerator, (21)),
            abi.encodeCall(governor.setLateQuorumVoteExtension, (uint48(1 hours - 1))),
            abi.encodeCall(governor.setLateQuorumVoteExtension, (uint48(5 days + 1)))
        ];
        for (uint256 i; i < calls.length; ++i) {
            uint256 id = _propose(address(governor), calls[i]);
            _passAndQueue(id);
            vm.warp(block.timestamp + 2 days);
            try governor.execute(id) {
                revert("it left its bounds");
            } catch (bytes memory reason) {
                vm.assertTrue(bytes4(reason) == DaicnGovernor.DaicnGovernor_OutOfBounds.selector);
            }
        }
    }

    function test_parametersStartWithinTheirBounds() external view {
        for (uint8 i; i <= uint8(type(Parameters.Name).max); ++i) {
            (uint256 low, uint256 high) = parameters.bounds(Parameters.Name(i));
            vm.assertTrue(low < high);
            vm.assertTrue(low <= parameters.get(Parameters.Name(i)) && parameters.get(Parameters.Name(i)) <= high);
        }
    }

    function testFuzz_parametersStayWithinTheirBounds(uint8 name, uint256 value) external {
        Parameters.Name which = Parameters.Name(_bound(name, 0, uint8(type(Parameters.Name).max)));
        (uint256 low, uint256 high) = parameters.bounds(which);
        value = _bound(value, 0, 2 * high);
        vm.startPrank(address(timelock));
        if (value < low || value > high) {
            vm.expectRevert(abi.encodeWithSelector(Parameters.Parameters_OutOfBounds.selector, which, value, low, high));
            parameters.set(which, value);
        } else {
            parameters.set(which, value);
            vm.assertEq(parameters.get(which), value);
        }
    }

    function test_onlyGovernanceSetsParameters() external {
        vm.expectRevert(abi.encodeWithSelector(Parameters.Parameters_NotGovernance.selector, address(this)));
        parameters.set(Parameters.Name.Fee, 1);
    }

    function test_timelockKeepsItsDelayWithinBounds() external {
        vm.expectRevert(abi.encodeWithSelector(TimelockController.TimelockUnauthorizedCaller.selector, address(this)));
        timelock.updateDelay(3 days);
        vm.startPrank(address(timelock));
        vm.expectRevert(abi.encodeWithSelector(DaicnTimelock.DaicnTimelock_OutOfBounds.selector, 1 days - 1));
        timelock.updateDelay(1 days - 1);
        vm.expectRevert(abi.encodeWithSelector(DaicnTimelock.DaicnTimelock_OutOfBounds.selector, 30 days + 1));
        timelock.updateDelay(30 days + 1);
        timelock.updateDelay(3 days);
        vm.assertEq(timelock.getMinDelay(), 3 days);
    }

    function _setFee(uint256 value) private view returns (bytes memory) {
        return abi.encodeCall(parameters.set, (Parameters.Name.Fee, value));
    }

    function _propose(address target, bytes memory call) private returns (uint256 id) {
        address[] memory targets = new address[](1);
        bytes[] memory calls = new bytes[](1);
        (targets[0], calls[0]) = (target, call);
        vm.prank(WHALE);
        return governor.propose(targets, new uint256[](1), calls, "a proposal");
    }

    function _passAndQueue(uint256 id) private {
        vm.warp(block.timestamp + 1 days + 1);
        vm.prank(WHALE);
        governor.castVote(id, 1);
        vm.warp(block.timestamp + 5 days);
        governor.queue(id);
    }
}
