// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title DaicnToken
/// @notice The token of the network: a fixed supply that nobody can mint, pause, freeze or take.
/// @dev Votes run on time, not on blocks, since blocks of a layer 2 have no steady pace. ERC-3009 nonces are random, so
/// that many payments can be signed at once; that is what x402 clients send.
contract DaicnToken is ERC20, ERC20Permit, ERC20Votes, ERC3009 {
    /// @notice All there will ever be, in base units.
    uint256 public constant SUPPLY = 1_000_000_000 ether;

    /// @param holder receives the whole supply
    constructor(address holder) ERC20("DAICN", "DAICN") ERC20Permit("DAICN") {
        _mint(holder, SUPPLY);
    }

    /// @notice ERC-3009 `transferWithAuthorization` with a signature of any form, ERC-1271 wallets included.
    /// @param from who signed and pays
    /// @param to who is paid
    /// @param value base units
    /// @param validAfter the authorization counts after this time, Unix seconds
    /// @param validBefore and before this one
    /// @param nonce random, used once
    /// @param signature of the EIP-712 message `TransferWithAuthorization`
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external {
        bytes32 message = keccak256(
            abi.encode(TRANSFER_WITH_AUTHORIZATION_TYPEHASH, from, to, value, validAfter, validBefore, nonce)
        );
        _checkSignature(from, message, signature);
        _transferWithAuthorization(from, to, value, validAfter, validBefore, nonce);
    }

    /// @notice ERC-3009 `receiveWithAuthorization` with a signature of any form; only `to` may call it.
    /// @param from who signed and pays
    /// @param to who is paid, and the caller
    /// @param value base units
    /// @param validAfter the authorization counts after this time, Unix seconds
    /// @param validBefore and before this one
    /// @param nonce random, used once
    /// @param signature of the EIP-712 message `ReceiveWithAuthorization`
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external {
        require(to == _msgSender(), ERC20InvalidReceiver(to));
        bytes32 message =
            keccak256(abi.encode(RECEIVE_WITH_AUTHORIZATION_TYPEHASH, from, to, value, validAfter, validBefore, nonce));
        _checkSignature(from, message, signature);
        _transferWithAuthorization(from, to, value, validAfter, validBefore, nonce);
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

    /// @notice The next nonce of `owner` for permits and for delegation by signature.
    /// @param owner whose nonce
    /// @return the nonce
    function nonces(address owner) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
    }

    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Votes) {
        super._update(from, to, value);
    }

    function _checkSignature(address from, bytes32 message, bytes calldata signature) private view {
        require(
            SignatureChecker.isValidSignatureNowCalldata(from, _hashTypedDataV4(message), signature),
            ERC3009InvalidSignature()
        );
    }
}
