// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DaicnToken} from "../../src/DaicnToken.sol";
import {Parameters} from "../../src/Parameters.sol";
import {ProviderRegistry} from "../../src/ProviderRegistry.sol";
import {Test} from "../support/Test.sol";

/// @dev The test deploys the registry, so it is the court.
contract ProviderRegistryTest is Test {
    address private constant PROVIDER = address(0xbee);
    address private constant OPERATOR = address(0x0b5);
    address private constant NEXT = address(0x0b6);

    DaicnToken private token;
    ProviderRegistry private registry;

    function setUp() external {
        vm.warp(1_800_000_000);
        token = new DaicnToken(address(this));
        registry = new ProviderRegistry(token, new Parameters(address(this)));
        token.approve(address(registry), type(uint256).max);
        vm.prank(PROVIDER);
        registry.register(OPERATOR, "https://provider.example");
    }

    function test_registerKeepsTheFirstOperator() external {
        vm.prank(PROVIDER);
        registry.register(NEXT, "");
        vm.assertEq(registry.providers(PROVIDER).operator, OPERATOR);
        vm.assertEq(registry.delegates(PROVIDER), PROVIDER);
        vm.assertTrue(registry.isOperatorAt(PROVIDER, OPERATOR, block.timestamp));
        vm.assertFalse(registry.isOperatorAt(PROVIDER, OPERATOR, block.timestamp - 1));
        vm.assertFalse(registry.isOperatorAt(PROVIDER, address(0), block.timestamp));
    }

    function test_registerRevertsWithoutOperator() external {
        vm.expectRevert(abi.encodeWithSelector(ProviderRegistry.ProviderRegistry_BadOperator.selector, address(0)));
        registry.register(address(0), "");
    }

    function test_rotationTakesAnHour() external {
        uint256 at = block.timestamp + 1 hours;
        vm.prank(PROVIDER);
        registry.rotateOperator(NEXT);
        vm.assertTrue(registry.isOperatorAt(PROVIDER, OPERATOR, at - 1));
        vm.assertFalse(registry.isOperatorAt(PROVIDER, NEXT, at - 1));
        vm.assertFalse(registry.isOperatorAt(PROVIDER, OPERATOR, at));
        vm.assertTrue(registry.isOperatorAt(PROVIDER, NEXT, at));
        // The same holds once the next rotation has written this one down.
        vm.warp(at + 5);
        vm.prank(PROVIDER);
        registry.rotateOperator(address(0x0b7));
        vm.assertTrue(registry.isOperatorAt(PROVIDER, OPERATOR, at - 1));
        vm.assertFalse(registry.isOperatorAt(PROVIDER, OPERATOR, at));
        vm.assertFalse(registry.isOperatorAt(PROVIDER, NEXT, at - 1));
        vm.assertTrue(registry.isOperatorAt(PROVIDER, NEXT, at));
    }

    function test_rotationIsGivenUpForTheNext() external {
        vm.startPrank(PROVIDER);
        registry.rotateOperator(NEXT);
        registry.rotateOperator(address(0x0b7));
        vm.warp(block.timestamp + 1 hours);
        vm.assertFalse(registry.isOperatorAt(PROVIDER, NEXT, block.timestamp));
        vm.assertTrue(registry.isOperatorAt(PROVIDER, address(0x0b7), block.timestamp));
    }

    function test_rotationRevertsForAnOldKey() external {
        vm.startPrank(PROVIDER);
        registry.rotateOperator(NEXT);
        vm.warp(block.timestamp + 1 hours);
        vm.expectRevert(abi.encodeWithSelector(ProviderRegistry.ProviderRegistry_BadOperator.selector, OPERATOR));
        registry.rotateOperator(OPERATOR);
    }

    function test_stakeVotesAndMakesActive() external {
        registry.stake(PROVIDER, 999 ether);
        vm.assertEq(registry.activeCount(), 0);
        registry.stake(PROVIDER, 1 ether);
        vm.assertEq(registry.activeCount(), 1);
        vm.assertEq(registry.activeAt(0), PROVIDER);
        vm.assertEq(registry.getVotes(PROVIDER), 1000 ether);
        vm.assertEq(registry.totalStake(), 1000 ether);
        vm.assertEq(token.balanceOf(address(registry)), 1000 ether);
    }

    function test_stakeRevertsForAStranger() external {
        vm.expectRevert(abi.encodeWithSelector(ProviderRegistry.ProviderRegistry_NotRegistered.selector, address(this)));
        registry.stake(address(this), 1 ether);
    }

    function test_unbondsAfterFourteenDays() external {
        registry.stake(PROVIDER, 1500 ether);
        vm.prank(PROVIDER);
        registry.requestUnbond(600 ether);
        vm.assertEq(registry.activeCount(), 0);
        vm.assertEq(registry.getVotes(PROVIDER), 1500 ether);
        vm.warp(block.timestamp + 14 days);
        registry.finalizeUnbond(PROVIDER);
        vm.assertEq(token.balanceOf(PROVIDER), 600 ether);
        vm.assertEq(registry.getVotes(PROVIDER), 900 ether);
        vm.expectRevert();
        registry.finalizeUnbond(PROVIDER);
    }

    function test_unbondRevertsBeyondWhatIsBonded() external {
        registry.stake(PROVIDER, 1000 ether);
        vm.startPrank(PROVIDER);
        registry.requestUnbond(600 ether);
        vm.expectRevert(
            abi.encodeWithSelector(ProviderRegistry.ProviderRegistry_Insufficient.selector, 400 ether, 500 ether)
        );
        registry.requestUnbond(500 ether);
    }

    function test_unbondRevertsBeforeItsTime() external {
        registry.stake(PROVIDER, 1000 ether);
        vm.prank(PROVIDER);
        registry.requestUnbond(600 ether);
        uint256 at = block.timestamp + 14 days;
        vm.warp(at - 1);
        vm.expectRevert(abi.encodeWithSelector(ProviderRegistry.ProviderRegistry_TooEarly.selector, at));
        registry.finalizeUnbond(PROVIDER);
    }

    function test_unbondRevertsWhileADisputeIsOpen() external {
        registry.stake(PROVIDER, 1000 ether);
        vm.prank(PROVIDER);
        registry.requestUnbond(600 ether);
        registry.hold(PROVIDER);
        vm.warp(block.timestamp + 14 days);
        vm.expectRevert(abi.encodeWithSelector(ProviderRegistry.ProviderRegistry_Held.selector, 1));
        registry.finalizeUnbond(PROVIDER);
        registry.unhold(PROVIDER);
        registry.finalizeUnbond(PROVIDER);
    }

    function test_slashTakesNoMoreThanTheStake() external {
        registry.stake(PROVIDER, 1000 ether);
        uint256 before = token.balanceOf(address(this));
        vm.assertEq(registry.slash(PROVIDER, 1001 ether), 1000 ether);
        vm.assertEq(token.balanceOf(address(this)), before + 1000 ether);
        vm.assertEq(registry.totalStake(), 0);
        vm.assertEq(registry.getVotes(PROVIDER), 0);
        vm.assertEq(registry.activeCount(), 0);
    }

    function test_slashTakesWhatIsLeavingToo() external {
        registry.stake(PROVIDER, 1000 ether);
        vm.prank(PROVIDER);
        registry.requestUnbond(800 ether);
        registry.slash(PROVIDER, 700 ether);
        vm.warp(block.timestamp + 14 days);
        registry.finalizeUnbond(PROVIDER);
        vm.assertEq(token.balanceOf(PROVIDER), 300 ether);
        vm.assertEq(token.balanceOf(address(registry)), 0);
    }

    function test_onlyTheCourtSlashesAndHolds() external {
        bytes memory notCourt = abi.encodeWithSelector(ProviderRegistry.ProviderRegistry_NotCourt.selector, PROVIDER);
        vm.startPrank(PROVIDER);
        vm.expectRevert(notCourt);
        registry.slash(PROVIDER, 1);
        vm.expectRevert(notCourt);
        registry.hold(PROVIDER);
        vm.expectRevert(notCourt);
        registry.unhold(PROVIDER);
    }
}
