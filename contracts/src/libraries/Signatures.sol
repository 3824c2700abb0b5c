// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title Signatures
/// @notice Whether a signer signed: 64 bytes (ERC-2098) or 65 by a key, anything else by an ERC-1271 contract.
library Signatures {
    /// @dev What a contract may spend on its answer, so that one signer cannot use up a batch of others.
    uint256 internal constant CONTRACT_GAS = 200_000;

    /// @notice True if `signature` is the signer's over `digest`. It never reverts.
    /// @dev 64 bytes are always a key's: to ask whether a signer has code would cost each voucher 2,600 gas.
    function isValid(address signer, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        if (signature.length != 64 && signer.code.length > 0) return _isValidByContract(signer, digest, signature);
        address recovered = recover(digest, signature);
        return recovered != address(0) && recovered == signer;
    }

    /// @notice The key that signed `digest`, zero if none did.
    /// @dev That a short signature has a second form with the same meaning does no harm: none is used up by being seen.
    function recover(bytes32 digest, bytes calldata signature) internal pure returns (address recovered) {
        if (signature.length != 64) {
            (recovered,,) = ECDSA.tryRecoverCalldata(digest, signature);
            return recovered;
        }
        bytes32 r;
        uint256 vs;
        assembly ("memory-safe") {
            r := calldataload(signature.offset)
            vs := calldataload(add(signature.offset, 32))
        }
        return ecrecover(digest, vs >> 255 == 0 ? 27 : 28, r, bytes32(vs << 1 >> 1));
    }

    /// @dev Reads one word of the answer however long it is: copying all of it would be charged to us.
    function _isValidByContract(address signer, bytes32 digest, bytes calldata signature) private view returns (bool) {
        bytes memory question = abi.encodeCall(IERC1271.isValidSignature, (digest, signature));
        bool answered;
        bytes32 answer;
        assembly ("memory-safe") {
            answered := staticcall(CONTRACT_GAS, signer, add(question, 32), mload(question), 0, 32)
            answered := and(answered, gt(returndatasize(), 31))
            answer := mload(0)
        }
        return answered && answer == bytes32(IERC1271.isValidSignature.selector);
    }
}
