// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DaicnToken} from "./DaicnToken.sol";
import {Ledger} from "./libraries/Ledger.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {Vouchers} from "./libraries/Vouchers.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @notice Tells the fee of the network.
interface IFeeSource {
    /// @notice The fee of the network.
    /// @return in hundredths of a percent of what a provider earns
    function feeBasisPoints() external view returns (uint256);
}

/// @title DaicnSettlement
/// @notice Holds what requesters deposit and pays it to providers against vouchers.
///
/// An account is a payer and a signer: the payer's money, spent by the signer's vouchers. For each provider (a receiver)
/// the account has a lane: a total that only grows. A voucher says "this lane has paid at most so much"; the signer signs
/// the next one before each task, so the provider only needs the last. What is locked in a lane is paid for sure; beyond
/// it a voucher is paid from what the account has free, as far as that goes.
///
/// Nobody owns this contract. Nothing can pause, change or re-route it, and the fee has a ceiling.
contract DaicnSettlement is EIP712, Multicall {
    using Ledger for Ledger.State;
    using SafeERC20 for DaicnToken;
    using Signatures for address;
    using Vouchers for bytes;

    /// @notice An ERC-3009 authorization to receive a deposit from `from`.
    struct Authorization {
        address from;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 salt;
        bytes signature;
    }

    /// @notice How long a payer waits for what is locked, so that a provider can claim what it is owed.
    uint256 public constant UNLOCK_DELAY = 36 hours;
    /// @notice The highest fee there can be, 5 %.
    uint256 public constant MAX_FEE_BASIS_POINTS = 500;

    bytes32 private constant LOCK_TYPEHASH =
        keccak256("Lock(bytes32 account,address receiver,uint256 cap,uint256 epoch)");
    bytes32 private constant CLAIM_TYPEHASH = keccak256("Claim(address receiver,bytes vouchers,uint256 deadline)");
    bytes32 private constant RELEASE_TYPEHASH =
        keccak256("Release(bytes32 account,address receiver,uint256 epoch,uint256 deadline)");

    /// @notice The one token of these books.
    DaicnToken public immutable TOKEN;
    /// @notice Earns the fees, and settles them like any receiver.
    address public immutable TREASURY;
    /// @notice Tells the fee.
    IFeeSource public immutable FEE_SOURCE;

    /// @notice A hot key that may claim and release for a receiver. What it claims is still paid to the receiver alone.
    mapping(address receiver => address operator) public operatorOf;

    Ledger.State private _ledger;

    /// @notice `amount` was added to what is free in the account of `payer` and `signer`.
    event Deposited(bytes32 indexed account, address indexed payer, address indexed signer, uint256 amount);
    /// @notice `amount` went back to the payer.
    event Withdrawn(bytes32 indexed account, address indexed payer, uint256 amount);
    /// @notice The lane's cap rose to `cap`, which locked `added` of what was free.
    event Locked(bytes32 indexed account, address indexed receiver, uint256 cap, uint256 added);
    /// @notice The lane has now paid `paid` in all.
    event Claimed(bytes32 indexed account, address indexed receiver, uint256 paid);
    /// @notice A voucher in a claim was passed over, for it asked for more than its ceiling or was not signed.
    event Refused(bytes32 indexed account, address indexed receiver, uint256 charged, uint256 ceiling);
    /// @notice A claim earned the receiver `amount` and the network `fee`.
    event Earned(address indexed receiver, uint256 amount, uint256 fee);
    /// @notice What the receiver had earned was paid out.
    event Settled(address indexed receiver, uint256 amount);
    /// @notice The payer wants back what is locked; from `unlockAt` on it can be unlocked.
    event UnlockRequested(bytes32 indexed account, address indexed receiver, uint256 unlockAt);
    /// @notice What was locked is free again; locks of earlier epochs are void.
    event Unlocked(bytes32 indexed account, address indexed receiver, uint256 amount, uint256 epoch);
    /// @notice The receiver's claims may now be made by `operator`.
    event OperatorSet(address indexed receiver, address indexed operator);

    /// @notice The token paid in another amount than was deposited.
    error DaicnSettlement_InexactDeposit(uint256 received, uint256 amount);
    /// @notice The message was not signed by `signer`.
    error DaicnSettlement_BadSignature(address signer);
    /// @notice The message expired.
    error DaicnSettlement_Expired(uint256 deadline);
    /// @notice Only the receiver and its operator may claim for it.
    error DaicnSettlement_NotReceiver(address caller, address receiver);
    /// @notice Nothing was earned since the last time.
    error DaicnSettlement_NothingEarned(address receiver);

    /// @param token the one token of these books
    /// @param treasury earns the fees
    /// @param feeSource tells the fee
    constructor(DaicnToken token, address treasury, IFeeSource feeSource) EIP712("DAICN Settlement", "1") {
        (TOKEN, TREASURY, FEE_SOURCE) = (token, treasury, feeSource);
    }

    // ---- deposits and withdrawals ----

    /// @notice Deposits tokens of the caller, who must have approved them, for `payer`, who may be another.
    /// @param payer who can take the money back
    /// @param signer who can spend it
    /// @param amount base units
    function deposit(address payer, address signer, uint256 amount) public {
        uint256 before = TOKEN.balanceOf(address(this));
        TOKEN.safeTransferFrom(msg.sender, address(this), amount);
        _credit(payer, signer, amount, before);
    }

    /// @notice Deposits tokens of the caller, approved by the permit that comes along.
    /// @dev A permit can be used by whoever sees it first; then the approval is there and its failure does no harm.
    /// @param payer who can take the money back
    /// @param signer who can spend it
    /// @param amount base units
    /// @param deadline of the permit, Unix seconds
    /// @param v of the permit's signature
    /// @param r of the permit's signature
    /// @param s of the permit's signature
    function depositWithPermit(
        address payer,
        address signer,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        try TOKEN.permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        deposit(payer, signer, amount);
    }

    /// @notice Deposits by an ERC-3009 `ReceiveWithAuthorization` that anybody may send for its signer. Its nonce is
    /// `authorizationNonce` of the account, so it cannot be used for another.
    /// @param payer who can take the money back
    /// @param signer who can spend it
    /// @param amount base units
    /// @param authorization who pays, and the signature
    function depositWithAuthorization(
        address payer,
        address signer,
        uint256 amount,
        Authorization calldata authorization
    ) external {
        uint256 before = TOKEN.balanceOf(address(this));
        TOKEN.receiveWithAuthorization(
            authorization.from,
            address(this),
            amount,
            authorization.validAfter,
            authorization.validBefore,
            authorizationNonce(payer, signer, authorization.salt),
            authorization.signature
        );
        _credit(payer, signer, amount, before);
    }

    /// @notice Takes back what is free in an account of the caller, at once.
    /// @param signer of the account
    /// @param amount base units
    function withdraw(address signer, uint256 amount) external {
        bytes32 account = Ledger.idOf(msg.sender, signer);
        _ledger.debit(account, amount);
        emit Withdrawn(account, msg.sender, amount);
        TOKEN.safeTransfer(msg.sender, amount);
    }

    // ---- lanes ----

    /// @notice Locks what is free up to the lane's new `cap`, as the account's signer signed. Anybody may send it; sent
    /// again it changes nothing.
    /// @param account id of the account
    /// @param receiver whose lane
    /// @param cap what the lane is to pay for sure over its whole life, base units
    /// @param epoch of the lane, in which the lock counts
    /// @param signature of the EIP-712 message `Lock`
    function lock(bytes32 account, address receiver, uint256 cap, uint256 epoch, bytes calldata signature) external {
        _checkSignature(
            _ledger.accounts[account].signer,
            keccak256(abi.encode(LOCK_TYPEHASH, account, receiver, cap, epoch)),
            signature
        );
        uint256 added = _ledger.lock(account, receiver, cap, epoch);
        if (added > 0) emit Locked(account, receiver, cap, added);
    }

    /// @notice Asks for what is locked in a lane of the caller's account. After `UNLOCK_DELAY` anybody can unlock it.
    /// @param signer of the account
    /// @param receiver whose lane
    function requestUnlock(address signer, address receiver) external {
        bytes32 account = Ledger.idOf(msg.sender, signer);
        uint256 unlockAt = block.timestamp + UNLOCK_DELAY;
        _ledger.requestUnlock(account, receiver, unlockAt);
        emit UnlockRequested(account, receiver, unlockAt);
    }

    /// @notice Unlocks a lane whose delay has passed.
    /// @param account id of the account
    /// @param receiver whose lane
    function finalizeUnlock(bytes32 account, address receiver) external {
        uint256 amount = _ledger.finalizeUnlock(account, receiver);
        emit Unlocked(account, receiver, amount, _ledger.lanes[account][receiver].epoch);
    }

    /// @notice Unlocks a lane at once, as its receiver signed.
    /// @param account id of the account
    /// @param receiver whose lane
    /// @param epoch of the lane, which ends by it
    /// @param deadline of the message, Unix seconds
    /// @param signature of the EIP-712 message `Release`, by the receiver or its operator
    function release(bytes32 account, address receiver, uint256 epoch, uint256 deadline, bytes calldata signature)
        external
    {
        _checkReceiver(
            receiver, deadline, keccak256(abi.encode(RELEASE_TYPEHASH, account, receiver, epoch, deadline)), signature
        );
        uint256 amount = _ledger.release(account, receiver, epoch);
        emit Unlocked(account, receiver, amount, epoch + 1);
    }

    // ---- claims ----

    /// @notice Claims vouchers of any number of accounts; called by the receiver or its operator. Each is paid as far as
    /// it goes, and one that cannot be paid does not hold up the others. A claim made again pays nothing.
    /// @param receiver who earns
    /// @param vouchers packed as `Vouchers` says
    /// @return earned by the receiver after the fee, base units
    function claim(address receiver, bytes calldata vouchers) external returns (uint256 earned) {
        if (msg.sender != receiver && msg.sender != operatorOf[receiver]) {
            revert DaicnSettlement_NotReceiver(msg.sender, receiver);
        }
        return _claim(receiver, vouchers);
    }

    /// @notice The same, sent by anybody, as the receiver or its operator signed: a provider needs no gas of its own.
    /// @param receiver who earns
    /// @param vouchers packed as `Vouchers` says
    /// @param deadline of the message, Unix seconds
    /// @param signature of the EIP-712 message `Claim`
    /// @return earned by the receiver after the fee, base units
    function claimFor(address receiver, bytes calldata vouchers, uint256 deadline, bytes calldata signature)
        external
        returns (uint256 earned)
    {
        _checkReceiver(
            receiver,
            deadline,
            keccak256(abi.encode(CLAIM_TYPEHASH, receiver, keccak256(vouchers), deadline)),
            signature
        );
        return _claim(receiver, vouchers);
    }

    /// @notice Pays a receiver all it has earned. Anybody may call it, the money goes to the receiver alone.
    /// @param receiver who earned; `TREASURY` for the fees
    /// @return amount paid, base units
    function settle(address receiver) external returns (uint256 amount) {
        amount = _ledger.settle(receiver);
        if (amount == 0) revert DaicnSettlement_NothingEarned(receiver);
        emit Settled(receiver, amount);
        TOKEN.safeTransfer(receiver, amount);
    }

    /// @notice Lets a hot key claim and release for the caller; zero for none.
    /// @param operator the key
    function setOperator(address operator) external {
        operatorOf[msg.sender] = operator;
        emit OperatorSet(msg.sender, operator);
    }

    // ---- what can be read ----

    /// @notice The id of the account in which `signer` spends the money of `payer`.
    /// @param payer who can take the money back
    /// @param signer who can spend it
    /// @return the id
    function accountOf(address payer, address signer) external pure returns (bytes32) {
        return Ledger.idOf(payer, signer);
    }

    /// @notice The nonce that binds an ERC-3009 authorization to one account.
    /// @param payer of the account
    /// @param signer of the account
    /// @param salt random, so that one account can be paid into many times
    /// @return the nonce
    function authorizationNonce(address payer, address signer, bytes32 salt) public pure returns (bytes32) {
        return keccak256(abi.encode(Ledger.idOf(payer, signer), salt));
    }

    /// @notice An account's signer and what is free in it.
    /// @param account id of the account
    /// @return both; zeros if it was never paid into
    function accounts(bytes32 account) external view returns (Ledger.Account memory) {
        return _ledger.accounts[account];
    }

    /// @notice The state of a lane.
    /// @param account id of the account
    /// @param receiver whose lane
    /// @return what it has paid and locked, and when it can be unlocked
    function lanes(bytes32 account, address receiver) external view returns (Ledger.Lane memory) {
        return _ledger.lanes[account][receiver];
    }

    /// @notice What a receiver has claimed and settled over all time, after fees.
    /// @param receiver who earned
    /// @return both totals, which only grow
    function earnings(address receiver) external view returns (Ledger.Earnings memory) {
        return _ledger.earnings[receiver];
    }

    // ---- inside ----

    /// @dev The balance must have grown by the amount and nothing else may have moved it meanwhile: a token that takes a
    /// fee is refused, and one that calls back cannot have an amount counted twice.
    function _credit(address payer, address signer, uint256 amount, uint256 before) private {
        uint256 received = TOKEN.balanceOf(address(this)) - before;
        if (received != amount) revert DaicnSettlement_InexactDeposit(received, amount);
        bytes32 account = _ledger.credit(payer, signer, amount);
        emit Deposited(account, payer, signer, amount);
    }

    function _claim(address receiver, bytes calldata vouchers) private returns (uint256 earned) {
        bytes32 domain = _domainSeparatorV4();
        uint256 sum;
        for (uint256 offset; offset < vouchers.length;) {
            uint256 amount;
            (amount, offset) = _claimOne(domain, receiver, vouchers, offset);
            sum += amount;
        }
        uint256 fee = sum * _feeBasisPoints() / 10_000;
        earned = sum - fee;
        _ledger.earn(receiver, TREASURY, sum, fee);
        emit Earned(receiver, earned, fee);
    }

    function _claimOne(bytes32 domain, address receiver, bytes calldata vouchers, uint256 offset)
        private
        returns (uint256 amount, uint256 next)
    {
        bytes32 account;
        uint256 charged;
        uint256 ceiling;
        bytes calldata signature;
        (account, charged, ceiling, signature, next) = vouchers.read(offset);
        bytes32 digest = Vouchers.digestOf(domain, account, receiver, ceiling);
        if (charged > ceiling || !_ledger.accounts[account].signer.isValid(digest, signature)) {
            emit Refused(account, receiver, charged, ceiling);
            return (0, next);
        }
        uint256 paid;
        (amount, paid) = _ledger.pay(account, receiver, charged);
        if (amount > 0) emit Claimed(account, receiver, paid);
    }

    /// @dev A source that fails costs the network its fee, never a provider its claim.
    function _feeBasisPoints() private view returns (uint256) {
        try FEE_SOURCE.feeBasisPoints() returns (uint256 fee) {
            return fee < MAX_FEE_BASIS_POINTS ? fee : MAX_FEE_BASIS_POINTS;
        } catch {
            return 0;
        }
    }

    function _checkReceiver(address receiver, uint256 deadline, bytes32 message, bytes calldata signature)
        private
        view
    {
        if (block.timestamp > deadline) revert DaicnSettlement_Expired(deadline);
        bytes32 digest = _hashTypedDataV4(message);
        if (receiver.isValid(digest, signature) || operatorOf[receiver].isValid(digest, signature)) return;
        revert DaicnSettlement_BadSignature(receiver);
    }

    function _checkSignature(address signer, bytes32 message, bytes calldata signature) private view {
        if (!signer.isValid(_hashTypedDataV4(message), signature)) revert DaicnSettlement_BadSignature(signer);
    }
}
