// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IFeeSource} from "../../src/DaicnSettlement.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @notice A fee that can be any number, or fail.
contract Fee is IFeeSource {
    uint256 private _fee;

    function set(uint256 fee) external {
        _fee = fee;
    }

    function feeBasisPoints() external view returns (uint256) {
        require(_fee != type(uint256).max, "no fee today");
        return _fee;
    }
}

/// @notice A wallet that is a contract: signs by the key of its owner, in 65 bytes and one more.
contract Wallet is IERC1271 {
    address private immutable OWNER;

    constructor(address owner) {
        OWNER = owner;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view virtual returns (bytes4) {
        bool valid = signature.length == 66 && ECDSA.recover(digest, signature[:65]) == OWNER;
        return valid ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }
}

/// @notice A wallet that burns all gas it is given instead of an answer.
contract GasEater is IERC1271 {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        for (uint256 i;; ++i) {}
        return IERC1271.isValidSignature.selector;
    }
}

/// @notice A wallet that answers yes and then some hundred thousand bytes.
contract Chatterbox is IERC1271 {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        bytes4 no = 0xffffffff;
        assembly ("memory-safe") {
            mstore(0, no)
            return(0, 300000)
        }
    }
}

/// @notice A wallet that answers with less than a word.
contract Mumbler is IERC1271 {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        bytes4 yes = IERC1271.isValidSignature.selector;
        assembly ("memory-safe") {
            mstore(0, yes)
            return(0, 4)
        }
    }
}

/// @notice A token that keeps a hundredth of every transfer, and calls back whoever is paid or pays.
contract HostileToken is ERC20 {
    uint256 public feeDivisor;
    address public hook;

    constructor() ERC20("Hostile", "HST") {
        _mint(msg.sender, 1_000_000_000 ether);
    }

    function setFee(uint256 divisor) external {
        feeDivisor = divisor;
    }

    function setHook(address hook_) external {
        hook = hook_;
    }

    function _update(address from, address to, uint256 value) internal override {
        if (hook != address(0)) IHook(hook).onTransfer(from, to, value);
        super._update(from, to, value);
        if (feeDivisor > 0 && from != address(0) && to != address(0xdead)) {
            super._update(to, address(0xdead), value / feeDivisor);
        }
    }
}

interface IHook {
    function onTransfer(address from, address to, uint256 value) external;
}
