// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DaicnSettlement} from "../../src/DaicnSettlement.sol";
import {DaicnToken} from "../../src/DaicnToken.sol";
import {Test} from "./Test.sol";

/// @notice Signs every message of a settlement. The types are written out again, so that a change of one is noticed.
abstract contract Pen is Test {
    DaicnToken internal token;
    DaicnSettlement internal settlement;

    /// @dev A packed voucher with a 64-byte signature.
    function _voucher(uint256 key, bytes32 id, address receiver, uint256 charged, uint256 ceiling)
        internal
        view
        returns (bytes memory)
    {
        (bytes32 r, bytes32 vs) = vm.signCompact(key, _voucherDigest(id, receiver, ceiling));
        return _pack(id, charged, ceiling, abi.encodePacked(r, vs));
    }

    function _pack(bytes32 id, uint256 charged, uint256 ceiling, bytes memory signature)
        internal
        pure
        returns (bytes memory)
    {
        // forge-lint: disable-next-line(unsafe-typecast)
        return abi.encodePacked(id, uint88(charged), uint88(ceiling), uint16(signature.length), signature);
    }

    function _voucherDigest(bytes32 id, address receiver, uint256 ceiling) internal view returns (bytes32) {
        bytes32 typehash = keccak256("Voucher(bytes32 account,address receiver,uint256 ceiling)");
        return _digest(keccak256(abi.encode(typehash, id, receiver, ceiling)));
    }

    function _signLock(uint256 key, bytes32 id, address receiver, uint256 cap, uint256 epoch)
        internal
        view
        returns (bytes memory)
    {
        return _sign(key, _lockDigest(id, receiver, cap, epoch));
    }

    function _lockDigest(bytes32 id, address receiver, uint256 cap, uint256 epoch) internal view returns (bytes32) {
        bytes32 typehash = keccak256("Lock(bytes32 account,address receiver,uint256 cap,uint256 epoch)");
        return _digest(keccak256(abi.encode(typehash, id, receiver, cap, epoch)));
    }

    function _signRelease(uint256 key, bytes32 id, address receiver, uint256 epoch, uint256 deadline)
        internal
        view
        returns (bytes memory)
    {
        bytes32 typehash = keccak256("Release(bytes32 account,address receiver,uint256 epoch,uint256 deadline)");
        return _sign(key, _digest(keccak256(abi.encode(typehash, id, receiver, epoch, deadline))));
    }

    function _signClaim(uint256 key, address receiver, bytes memory vouchers, uint256 deadline)
        internal
        view
        returns (bytes memory)
    {
        bytes32 typehash = keccak256("Claim(address receiver,bytes vouchers,uint256 deadline)");
        return _sign(key, _digest(keccak256(abi.encode(typehash, receiver, keccak256(vouchers), deadline))));
    }

    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function _digest(bytes32 message) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", _domain("DAICN Settlement", address(settlement)), message));
    }

    function _domain(string memory name, address verifier) internal view returns (bytes32) {
        bytes32 typehash =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        return keccak256(abi.encode(typehash, keccak256(bytes(name)), keccak256("1"), block.chainid, verifier));
    }
}
