// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DaicnToken} from "./DaicnToken.sol";
import {Parameters} from "./Parameters.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title ReceiptLog
/// @notice Hourly Merkle roots of an edge's receipts and of its matching decisions. Whoever posts them is bonded, and an
/// edge that signs one root and posts another loses its bond to whoever shows it.
/// @dev Pairs are hashed in sorted order, and a leaf is the hash of a hash, so that no inner node passes for a leaf.
contract ReceiptLog is EIP712 {
    using SafeCast for uint256;
    using SafeERC20 for DaicnToken;
    using Signatures for address;

    enum Kind {
        Receipts,
        Decisions
    }

    struct Bond {
        uint128 amount;
        /// When it may be taken back, Unix seconds; zero while nobody asked.
        uint40 unbondsAt;
    }

    /// @notice How long a bond stays after it was asked for.
    uint256 public constant UNBONDING = 14 days;

    bytes32 private constant ROOT_TYPEHASH = keccak256("Root(uint8 kind,uint256 hour,bytes32 root,uint256 leaves)");

    /// @notice What bonds are made of.
    DaicnToken public immutable TOKEN;
    /// @notice Tells the bond.
    Parameters public immutable PARAMETERS;
    /// @notice Gets half of a lost bond.
    address public immutable TREASURY;

    /// @notice The bonds of posters.
    mapping(address poster => Bond) public bonds;
    /// @notice The root of an hour (Unix seconds / 3600), which never changes; zero if it was not posted.
    mapping(address poster => mapping(Kind kind => mapping(uint256 hour => bytes32))) public roots;

    /// @notice The bond of `poster` is now `amount`.
    event Bonded(address indexed poster, uint256 amount);
    /// @notice The poster wants its bond back and posts no more.
    event UnbondRequested(address indexed poster, uint256 at);
    /// @notice The bond went back to the poster.
    event Unbonded(address indexed poster, uint256 amount);
    /// @notice A root was posted.
    event Posted(address indexed poster, Kind indexed kind, uint256 indexed hour, bytes32 root, uint256 leaves);
    /// @notice The poster had signed another root than it posted.
    event Contradicted(address indexed poster, address indexed reporter, Kind kind, uint256 hour, uint256 bond);

    /// @notice The poster has no bond, or too small a one, or is taking it back.
    error ReceiptLog_NotBonded(uint256 bond, uint256 needed);
    /// @notice The hour is not over yet.
    error ReceiptLog_HourNotOver(uint256 hour);
    /// @notice There is a root for this hour, or the new one is zero.
    error ReceiptLog_BadRoot(bytes32 posted);
    /// @notice It was asked for too short a time ago, or not at all.
    error ReceiptLog_TooEarly(uint256 at);
    /// @notice What was signed does not contradict what was posted.
    error ReceiptLog_NoContradiction();

    /// @param token what bonds are made of
    /// @param parameters tells the bond
    /// @param treasury gets half of a lost bond
    constructor(DaicnToken token, Parameters parameters, address treasury) EIP712("DAICN Receipts", "1") {
        (TOKEN, PARAMETERS, TREASURY) = (token, parameters, treasury);
    }

    /// @notice Adds to the caller's bond, and takes back its wish to leave.
    /// @param amount base units, approved before
    function bond(uint128 amount) external {
        Bond storage own = bonds[msg.sender];
        (own.amount, own.unbondsAt) = (own.amount + amount, 0);
        emit Bonded(msg.sender, own.amount);
        TOKEN.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @notice Asks for the caller's bond; until then it posts nothing.
    function requestUnbond() external {
        uint40 at = (block.timestamp + UNBONDING).toUint40();
        bonds[msg.sender].unbondsAt = at;
        emit UnbondRequested(msg.sender, at);
    }

    /// @notice Pays the caller's bond back once its time has come.
    function finalizeUnbond() external {
        Bond memory own = bonds[msg.sender];
        if (own.unbondsAt == 0 || block.timestamp < own.unbondsAt) revert ReceiptLog_TooEarly(own.unbondsAt);
        delete bonds[msg.sender];
        emit Unbonded(msg.sender, own.amount);
        TOKEN.safeTransfer(msg.sender, own.amount);
    }

    /// @notice Posts the root of an hour that is over.
    /// @param kind of what
    /// @param hour Unix seconds / 3600
    /// @param root of the tree over that hour
    /// @param leaves how many there are
    function post(Kind kind, uint256 hour, bytes32 root, uint256 leaves) external {
        Bond memory own = bonds[msg.sender];
        uint256 needed = PARAMETERS.get(Parameters.Name.PosterBond);
        if (own.amount < needed || own.unbondsAt != 0) revert ReceiptLog_NotBonded(own.amount, needed);
        if (hour >= block.timestamp / 1 hours) revert ReceiptLog_HourNotOver(hour);
        bytes32 posted = roots[msg.sender][kind][hour];
        if (posted != 0 || root == 0) revert ReceiptLog_BadRoot(posted);
        roots[msg.sender][kind][hour] = root;
        emit Posted(msg.sender, kind, hour, root, leaves);
    }

    /// @notice Takes the bond of a poster that signed another root for an hour than it posted: half for the caller, half
    /// for the treasury.
    /// @param poster who signed
    /// @param kind of what
    /// @param hour Unix seconds / 3600
    /// @param root that was signed
    /// @param leaves that were signed
    /// @param signature of the EIP-712 message `Root`
    function contradict(address poster, Kind kind, uint256 hour, bytes32 root, uint256 leaves, bytes calldata signature)
        external
    {
        bytes32 posted = roots[poster][kind][hour];
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(ROOT_TYPEHASH, kind, hour, root, leaves)));
        if (posted == 0 || posted == root || !poster.isValid(digest, signature)) revert ReceiptLog_NoContradiction();
        uint256 amount = bonds[poster].amount;
        if (amount == 0) revert ReceiptLog_NotBonded(0, 1);
        delete bonds[poster];
        emit Contradicted(poster, msg.sender, kind, hour, amount);
        TOKEN.safeTransfer(msg.sender, amount / 2);
        TOKEN.safeTransfer(TREASURY, amount - amount / 2);
    }

    /// @notice Whether a receipt or decision is in the hour's tree.
    /// @param poster whose tree
    /// @param kind of what
    /// @param hour Unix seconds / 3600
    /// @param hash of the receipt or decision
    /// @param proof its siblings from the leaf up
    /// @return true if it is
    function includes(address poster, Kind kind, uint256 hour, bytes32 hash, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        bytes32 root = roots[poster][kind][hour];
        return root != 0 && MerkleProof.verifyCalldata(proof, root, keccak256(bytes.concat(hash)));
    }
}
