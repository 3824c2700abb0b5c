// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DaicnToken} from "../../src/DaicnToken.sol";
import {Parameters} from "../../src/Parameters.sol";
import {ReceiptLog} from "../../src/ReceiptLog.sol";
import {Pen} from "../support/Pen.sol";

contract ReceiptLogTest is Pen {
    uint256 private constant KEY = 0xed9e;
    address private constant TREASURY = address(0x7e5);
    ReceiptLog.Kind private constant KIND = ReceiptLog.Kind.Receipts;

    ReceiptLog private log;
    address private poster = vm.addr(KEY);
    uint256 private hour;
    bytes32 private root;
    bytes32[4] private leaves;

    function setUp() external {
        vm.warp(1_800_000_000);
        hour = block.timestamp / 1 hours - 1;
        token = new DaicnToken(address(this));
        log = new ReceiptLog(token, new Parameters(address(this)), TREASURY);
        token.transfer(poster, 20_000 ether);
        vm.startPrank(poster);
        token.approve(address(log), type(uint256).max);
        log.bond(10_000 ether);
        vm.stopPrank();
        for (uint256 i; i < 4; ++i) {
            leaves[i] = keccak256(abi.encode("receipt", i));
        }
        root = _pair(_pair(_leaf(0), _leaf(1)), _pair(_leaf(2), _leaf(3)));
    }

    function test_findsEveryLeafAndNothingElse() external {
        bytes32[] memory proof = new bytes32[](2);
        (proof[0], proof[1]) = (_leaf(3), _pair(_leaf(0), _leaf(1)));
        vm.assertFalse(log.includes(poster, KIND, hour, leaves[2], proof));
        _post();
        vm.assertTrue(log.includes(poster, KIND, hour, leaves[2], proof));
        vm.assertFalse(log.includes(poster, KIND, hour, leaves[1], proof));
        vm.assertFalse(log.includes(poster, ReceiptLog.Kind.Decisions, hour, leaves[2], proof));
        // An inner node is no leaf, and no proof is none.
        bytes32[] memory upper = new bytes32[](1);
        upper[0] = proof[1];
        vm.assertFalse(log.includes(poster, KIND, hour, _pair(_leaf(2), _leaf(3)), upper));
        vm.assertFalse(log.includes(poster, KIND, hour, root, new bytes32[](0)));
    }

    function test_postRevertsWithoutBond() external {
        vm.expectRevert(abi.encodeWithSelector(ReceiptLog.ReceiptLog_NotBonded.selector, 0, 10_000 ether));
        log.post(KIND, hour, root, 4);
    }

    function test_postRevertsWhileTheBondIsLeaving() external {
        vm.startPrank(poster);
        log.requestUnbond();
        vm.expectRevert(abi.encodeWithSelector(ReceiptLog.ReceiptLog_NotBonded.selector, 10_000 ether, 10_000 ether));
        log.post(KIND, hour, root, 4);
        log.bond(1);
        log.post(KIND, hour, root, 4);
    }

    function test_postRevertsBeforeTheHourIsOver() external {
        vm.prank(poster);
        vm.expectRevert(abi.encodeWithSelector(ReceiptLog.ReceiptLog_HourNotOver.selector, hour + 1));
        log.post(KIND, hour + 1, root, 4);
    }

    function test_rootNeverChanges() external {
        _post();
        vm.startPrank(poster);
        vm.expectRevert(abi.encodeWithSelector(ReceiptLog.ReceiptLog_BadRoot.selector, root));
        log.post(KIND, hour, keccak256("other"), 4);
        vm.expectRevert(abi.encodeWithSelector(ReceiptLog.ReceiptLog_BadRoot.selector, 0));
        log.post(KIND, hour - 1, 0, 4);
    }

    function test_contradictionTakesTheBond() external {
        _post();
        bytes32 other = keccak256("other");
        bytes memory signature = _signRoot(KEY, other);
        uint256 before = token.balanceOf(address(this));
        log.contradict(poster, KIND, hour, other, 4, signature);
        vm.assertEq(token.balanceOf(address(this)) - before, 5000 ether);
        vm.assertEq(token.balanceOf(TREASURY), 5000 ether);
        vm.expectRevert(abi.encodeWithSelector(ReceiptLog.ReceiptLog_NotBonded.selector, 0, 1));
        log.contradict(poster, KIND, hour, other, 4, signature);
    }

    function test_contradictRevertsWithoutOne() external {
        bytes32 other = keccak256("other");
        bytes memory ofOther = _signRoot(KEY, other);
        vm.expectRevert(ReceiptLog.ReceiptLog_NoContradiction.selector);
        log.contradict(poster, KIND, hour, other, 4, ofOther);
        _post();
        bytes memory same = _signRoot(KEY, root);
        vm.expectRevert(ReceiptLog.ReceiptLog_NoContradiction.selector);
        log.contradict(poster, KIND, hour, root, 4, same);
        bytes memory forged = _signRoot(0xbad, other);
        vm.expectRevert(ReceiptLog.ReceiptLog_NoContradiction.selector);
        log.contradict(poster, KIND, hour, other, 4, forged);
    }

    function test_bondIsPaidBackAfterFourteenDays() external {
        vm.startPrank(poster);
        vm.expectRevert(abi.encodeWithSelector(ReceiptLog.ReceiptLog_TooEarly.selector, 0));
        log.finalizeUnbond();
        log.requestUnbond();
        uint256 at = block.timestamp + 14 days;
        vm.warp(at - 1);
        vm.expectRevert(abi.encodeWithSelector(ReceiptLog.ReceiptLog_TooEarly.selector, at));
        log.finalizeUnbond();
        vm.warp(at);
        log.finalizeUnbond();
        vm.assertEq(token.balanceOf(poster), 20_000 ether);
    }

    function _post() private {
        vm.prank(poster);
        log.post(KIND, hour, root, 4);
    }

    function _signRoot(uint256 key, bytes32 signed) private view returns (bytes memory) {
        bytes32 typehash = keccak256("Root(uint8 kind,uint256 hour,bytes32 root,uint256 leaves)");
        bytes32 message = keccak256(abi.encode(typehash, KIND, hour, signed, 4));
        bytes32 domain = _domain("DAICN Receipts", address(log));
        return _sign(key, keccak256(abi.encodePacked(hex"1901", domain, message)));
    }

    function _leaf(uint256 i) private view returns (bytes32) {
        return keccak256(bytes.concat(leaves[i]));
    }

    function _pair(bytes32 a, bytes32 b) private pure returns (bytes32) {
        return a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }
}
