// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DaicnToken} from "../../src/DaicnToken.sol";
import {Wallet} from "../support/Parts.sol";
import {Test} from "../support/Test.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";

contract DaicnTokenTest is Test {
    uint256 private constant KEY = 0xa11ce;
    address private constant PAYEE = address(0xbee);

    DaicnToken private token;
    address private payer = vm.addr(KEY);

    function setUp() external {
        vm.warp(1_800_000_000);
        token = new DaicnToken(address(this));
        token.transfer(payer, 10 ether);
    }

    function test_mintsTheWholeSupply() external view {
        vm.assertEq(token.totalSupply(), token.SUPPLY());
        vm.assertEq(token.balanceOf(address(this)), token.SUPPLY() - 10 ether);
    }

    function test_countsVotesByTime() external {
        vm.prank(payer);
        token.delegate(payer);
        vm.warp(block.timestamp + 1);
        vm.assertEq(token.clock(), block.timestamp);
        vm.assertEq(keccak256(bytes(token.CLOCK_MODE())), keccak256("mode=timestamp"));
        vm.assertEq(token.getPastVotes(payer, block.timestamp - 1), 10 ether);
    }

    function test_authorizedTransfersInAnyOrder() external {
        _transfer(payer, bytes32(uint256(7)), _sign("Transfer", payer, bytes32(uint256(7))));
        _transfer(payer, bytes32(uint256(3)), _sign("Transfer", payer, bytes32(uint256(3))));
        vm.assertEq(token.balanceOf(PAYEE), 2 ether);
        bytes memory signature = _sign("Transfer", payer, bytes32(uint256(7)));
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009UsedAuthorization.selector, payer, bytes32(uint256(7))));
        _transfer(payer, bytes32(uint256(7)), signature);
    }

    function test_authorizedByAContract() external {
        address wallet = address(new Wallet(payer));
        token.transfer(wallet, 1 ether);
        _transfer(wallet, 0, abi.encodePacked(_sign("Transfer", wallet, 0), uint8(0)));
        vm.assertEq(token.balanceOf(PAYEE), 1 ether);
    }

    function test_revertsForAnother() external {
        bytes memory signature = _sign("Transfer", payer, 0);
        vm.expectRevert(ERC3009.ERC3009InvalidSignature.selector);
        _transfer(address(this), 0, signature);
    }

    function test_revertsEarlyOrLate() external {
        bytes memory signature = _sign("Transfer", payer, 0);
        vm.warp(1_800_000_000 - 60);
        vm.expectRevert();
        _transfer(payer, 0, signature);
        vm.warp(1_800_000_000 + 60);
        vm.expectRevert();
        _transfer(payer, 0, signature);
    }

    function test_onlyThePayeeReceives() external {
        bytes memory signature = _sign("Receive", payer, 0);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, PAYEE));
        token.receiveWithAuthorization(payer, PAYEE, 1 ether, 1_799_999_999, 1_800_000_001, 0, signature);
        vm.prank(PAYEE);
        token.receiveWithAuthorization(payer, PAYEE, 1 ether, 1_799_999_999, 1_800_000_001, 0, signature);
        vm.assertEq(token.balanceOf(PAYEE), 1 ether);
    }

    function _transfer(address from, bytes32 nonce, bytes memory signature) private {
        token.transferWithAuthorization(from, PAYEE, 1 ether, 1_799_999_999, 1_800_000_001, nonce, signature);
    }

    function _sign(string memory verb, address from, bytes32 nonce) private view returns (bytes memory) {
        bytes32 typehash = keccak256(
            abi.encodePacked(
                verb,
                "WithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
            )
        );
        bytes32 message = keccak256(abi.encode(typehash, from, PAYEE, 1 ether, 1_799_999_999, 1_800_000_001, nonce));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), message));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, digest);
        return abi.encodePacked(r, s, v);
    }
}
