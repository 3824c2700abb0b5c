// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DaicnSettlement} from "./DaicnSettlement.sol";
import {DaicnToken} from "./DaicnToken.sol";
import {Parameters} from "./Parameters.sol";
import {ProviderRegistry} from "./ProviderRegistry.sol";
import {Committees} from "./libraries/Committees.sol";
import {Ledger} from "./libraries/Ledger.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title DisputeCourt
/// @notice Slashes providers for what is proven against them. Two faults prove themselves: receipts of one attempt that
/// contradict, and a claim above what the provider states that it charged. That a result is wrong is judged by verifiers
/// who are drawn from the other providers, run the task again and vote in secret; the majority decides and the losers pay.
/// Whatever is taken makes the harmed requester whole first.
///
/// The court holds bonds and what it has awarded, and has no handle on the settlement but to read it.
contract DisputeCourt is EIP712 {
    using Committees for Committees.Committee;
    using SafeCast for uint256;
    using SafeERC20 for DaicnToken;
    using Signatures for address;

    /// @notice What an operator signs about an attempt. core/receipt.ts says what is hashed.
    struct TaskReceipt {
        address provider;
        /// Hash of the task's id.
        bytes32 task;
        uint256 attempt;
        /// Who is made whole if this is a fault.
        address requester;
        /// Hash of what was asked: kind, model and input.
        bytes32 request;
        /// Hash of the output.
        bytes32 output;
        /// What was metered.
        uint256 units;
        /// Base units.
        uint256 charged;
        /// Unix seconds.
        uint256 finishedAt;
    }

    /// @notice What an operator signs about a lane: until `at` it charged so much in all, and if the lane is `closed`
    /// it never charges more.
    struct LaneStatement {
        address provider;
        bytes32 account;
        uint256 charged;
        uint256 at;
        bool closed;
    }

    struct Dispute {
        address challenger;
        address provider;
        address requester;
        uint128 bond;
        uint128 charged;
        /// The block whose hash draws the verifiers.
        uint64 drawBlock;
        uint40 commitUntil;
        uint40 revealUntil;
        Stage stage;
    }

    enum Stage {
        None,
        Drawing,
        Judging,
        Upheld,
        Rejected,
        Undecided
    }

    /// @notice How long a signed statement can be used: as long as stake stays after it was asked for.
    uint256 public constant STATEMENT_LIFE = 14 days;
    /// @notice What an overclaim costs, in multiples of it.
    uint256 public constant OVERCLAIM_FACTOR = 10;

    bytes32 private constant RECEIPT_TYPEHASH = keccak256(
        "TaskReceipt(address provider,bytes32 task,uint256 attempt,address requester,bytes32 request,bytes32 output,uint256 units,uint256 charged,uint256 finishedAt)"
    );
    bytes32 private constant STATEMENT_TYPEHASH =
        keccak256("LaneStatement(address provider,bytes32 account,uint256 charged,uint256 at,bool closed)");

    /// @notice What is staked and bonded.
    DaicnToken public immutable TOKEN;
    /// @notice Knows who is a provider; deployed by the court, so that it obeys no other.
    ProviderRegistry public immutable REGISTRY;
    /// @notice Tells what lanes have paid.
    DaicnSettlement public immutable SETTLEMENT;
    /// @notice Tells bonds, periods and shares.
    Parameters public immutable PARAMETERS;
    /// @notice Gets what is left of a slash.
    address public immutable TREASURY;

    /// @notice How many disputes were opened; the last one's id.
    uint256 public disputeCount;
    /// @notice The disputes about results.
    mapping(uint256 id => Dispute) public disputes;
    /// @notice What was awarded and not withdrawn yet, base units.
    mapping(address owner => uint256) public awards;
    /// @notice The faults that were punished or are in dispute.
    mapping(bytes32 fault => bool) public isJudged;
    /// @notice Up to which total a lane's overclaims were punished.
    mapping(bytes32 account => mapping(address provider => uint256)) public overclaimedTo;

    mapping(uint256 id => Committees.Committee) private _committees;

    /// @notice A provider signed two receipts of one attempt that contradict.
    event EquivocationProven(address indexed provider, bytes32 indexed task, uint256 attempt, uint256 slashed);
    /// @notice A provider claimed more than it stated.
    event OverclaimProven(address indexed provider, bytes32 indexed account, uint256 excess, uint256 slashed);
    /// @notice A result is disputed; its verifiers are drawn by the hash of `drawBlock`.
    event DisputeOpened(uint256 indexed id, address indexed provider, bytes32 indexed task, uint256 drawBlock);
    /// @notice The verifiers were drawn and commit until `commitUntil`.
    event CommitteeDrawn(uint256 indexed id, address[] verifiers, uint256 commitUntil);
    /// @notice A verifier committed to a verdict.
    event Committed(uint256 indexed id, address indexed verifier);
    /// @notice A verifier's verdict, and the hash of the output it got.
    event Revealed(uint256 indexed id, address indexed verifier, bool wrong, bytes32 output);
    /// @notice The dispute ended.
    event DisputeResolved(uint256 indexed id, Stage outcome);
    /// @notice `amount` was awarded to `owner`.
    event Awarded(address indexed owner, uint256 amount);
    /// @notice `amount` of what was awarded was paid out.
    event Withdrawn(address indexed owner, uint256 amount);

    /// @notice The provider's operator did not sign this, or not at that time, or too long ago.
    error DisputeCourt_BadStatement(address provider, uint256 at);
    /// @notice This proves no fault.
    error DisputeCourt_NoFault();
    /// @notice This fault was punished, or is in dispute.
    error DisputeCourt_Judged(bytes32 fault);
    /// @notice There is no stake to take.
    error DisputeCourt_NothingAtStake(address provider);
    /// @notice The time in which the result could be disputed is over.
    error DisputeCourt_TooLate(uint256 until);
    /// @notice It is not time for that yet.
    error DisputeCourt_TooEarly(uint256 from);
    /// @notice There are too few providers to draw verifiers from.
    error DisputeCourt_TooFewVerifiers(uint256 active, uint256 needed);
    /// @notice The dispute is at another stage.
    error DisputeCourt_WrongStage(Stage stage);
    /// @notice Only the verifier or its operator may commit for it.
    error DisputeCourt_NotVerifier(address caller, address verifier);
    /// @notice Nothing was awarded.
    error DisputeCourt_NothingAwarded(address owner);

    /// @param token what is staked and bonded
    /// @param settlement tells what lanes have paid
    /// @param parameters tells bonds, periods and shares
    /// @param treasury gets what is left of a slash
    constructor(DaicnToken token, DaicnSettlement settlement, Parameters parameters, address treasury)
        EIP712("DAICN Court", "1")
    {
        (TOKEN, SETTLEMENT, PARAMETERS, TREASURY) = (token, settlement, parameters, treasury);
        REGISTRY = new ProviderRegistry(token, parameters);
    }

    // ---- faults that prove themselves ----

    /// @notice Two receipts of one attempt that differ in more than its time: costs the minimum stake.
    /// @param a a receipt
    /// @param signatureA by the provider's operator
    /// @param b another of the same attempt
    /// @param signatureB by the provider's operator
    function proveEquivocation(
        TaskReceipt calldata a,
        bytes calldata signatureA,
        TaskReceipt calldata b,
        bytes calldata signatureB
    ) external {
        bool sameAttempt = a.provider == b.provider && a.task == b.task && a.attempt == b.attempt;
        bool contradict = a.request != b.request || a.output != b.output || a.units != b.units || a.charged != b.charged
            || a.requester != b.requester;
        if (!sameAttempt || !contradict) revert DisputeCourt_NoFault();
        _checkReceipt(a, signatureA);
        _checkReceipt(b, signatureB);
        _judge(keccak256(abi.encode("equivocation", a.provider, a.task, a.attempt)));
        uint256 slashed = _slash(a.provider, PARAMETERS.get(Parameters.Name.MinimumStake));
        emit EquivocationProven(a.provider, a.task, a.attempt, slashed);
        // Two names for who is harmed are a fault, but name nobody.
        _distribute(
            slashed, a.requester == b.requester ? a.requester : TREASURY, a.charged > b.charged ? a.charged : b.charged
        );
    }

    /// @notice A lane that has paid more than its provider states: costs `OVERCLAIM_FACTOR` times the difference. The
    /// statement must be later than the lane's last claim, or close the lane.
    /// @param statement of the provider
    /// @param signature by its operator
    /// @param payer of the lane's account, who is made whole
    /// @param signer of the lane's account
    function proveOverclaim(LaneStatement calldata statement, bytes calldata signature, address payer, address signer)
        external
    {
        _checkSigned(statement.provider, statement.at, keccak256(abi.encode(STATEMENT_TYPEHASH, statement)), signature);
        Ledger.Lane memory lane = SETTLEMENT.lanes(statement.account, statement.provider);
        uint256 punished = overclaimedTo[statement.account][statement.provider];
        uint256 due = statement.charged > punished ? statement.charged : punished;
        bool stated = statement.closed || lane.lastClaimAt < statement.at;
        if (lane.paid <= due || !stated || SETTLEMENT.accountOf(payer, signer) != statement.account) {
            revert DisputeCourt_NoFault();
        }
        overclaimedTo[statement.account][statement.provider] = lane.paid;
        uint256 excess = lane.paid - due;
        uint256 slashed = _slash(statement.provider, excess * OVERCLAIM_FACTOR);
        emit OverclaimProven(statement.provider, statement.account, excess, slashed);
        _distribute(slashed, payer, excess);
    }

    // ---- results that are wrong ----

    /// @notice Disputes the result of a receipt, against a bond of the caller.
    /// @param receipt of the attempt
    /// @param signature by the provider's operator
    /// @return id of the dispute
    function open(TaskReceipt calldata receipt, bytes calldata signature) external returns (uint256 id) {
        _checkReceipt(receipt, signature);
        uint256 until = receipt.finishedAt + PARAMETERS.get(Parameters.Name.DisputeWindow);
        if (block.timestamp > until) revert DisputeCourt_TooLate(until);
        _judge(keccak256(abi.encode("result", receipt.provider, receipt.task, receipt.attempt)));
        uint256 bond = PARAMETERS.get(Parameters.Name.ChallengeBond);
        id = ++disputeCount;
        Dispute storage dispute = disputes[id];
        (dispute.challenger, dispute.provider, dispute.requester) = (msg.sender, receipt.provider, receipt.requester);
        (dispute.bond, dispute.charged) = (bond.toUint128(), receipt.charged.toUint128());
        (dispute.stage, dispute.drawBlock) = (Stage.Drawing, (block.number + 1).toUint64());
        _committees[id].seats = PARAMETERS.get(Parameters.Name.Verifiers);
        REGISTRY.hold(receipt.provider);
        emit DisputeOpened(id, receipt.provider, receipt.task, dispute.drawBlock);
        TOKEN.safeTransferFrom(msg.sender, address(this), bond);
    }

    /// @notice Draws the verifiers once the block that decides is there. If nobody did while its hash was known, another
    /// block is named; if there are too few providers, the dispute ends undecided.
    /// @param id of the dispute
    function draw(uint256 id) external {
        Dispute storage dispute = _at(id, Stage.Drawing);
        if (block.number <= dispute.drawBlock) revert DisputeCourt_TooEarly(dispute.drawBlock + 1);
        bytes32 seed = blockhash(dispute.drawBlock);
        if (seed == 0) {
            dispute.drawBlock = (block.number + 1).toUint64();
            return;
        }
        Committees.Committee storage committee = _committees[id];
        bool drawn = committee.draw(REGISTRY, seed, dispute.provider, dispute.challenger, dispute.requester);
        if (!drawn) return _end(id, dispute, Stage.Undecided);
        uint256 period = PARAMETERS.get(Parameters.Name.VerifyPeriod);
        dispute.commitUntil = (block.timestamp + period).toUint40();
        dispute.revealUntil = (block.timestamp + 2 * period).toUint40();
        dispute.stage = Stage.Judging;
        emit CommitteeDrawn(id, committee.verifiers, dispute.commitUntil);
    }

    /// @notice Commits a verifier to a verdict that nobody can read yet.
    /// @param id of the dispute
    /// @param verifier who was drawn; the caller or the one it operates for
    /// @param commitment `commitmentOf` the verdict
    function commit(uint256 id, address verifier, bytes32 commitment) external {
        Dispute storage dispute = _at(id, Stage.Judging);
        if (block.timestamp >= dispute.commitUntil) revert DisputeCourt_TooLate(dispute.commitUntil);
        if (msg.sender != verifier && !REGISTRY.isOperatorAt(verifier, msg.sender, block.timestamp)) {
            revert DisputeCourt_NotVerifier(msg.sender, verifier);
        }
        _committees[id].commit(verifier, commitment);
        emit Committed(id, verifier);
    }

    /// @notice Reveals the verdict that was committed. Anybody who knows it may send it.
    /// @param id of the dispute
    /// @param verifier whose verdict
    /// @param wrong whether the result is wrong
    /// @param output hash of the output the verifier got
    /// @param salt of the commitment
    function reveal(uint256 id, address verifier, bool wrong, bytes32 output, bytes32 salt) external {
        Dispute storage dispute = _at(id, Stage.Judging);
        if (block.timestamp < dispute.commitUntil) revert DisputeCourt_TooEarly(dispute.commitUntil);
        if (block.timestamp >= dispute.revealUntil) revert DisputeCourt_TooLate(dispute.revealUntil);
        _committees[id].reveal(verifier, wrong, commitmentOf(id, verifier, wrong, output, salt));
        emit Revealed(id, verifier, wrong, output);
    }

    /// @notice Ends a dispute when all verifiers have revealed, or their time is over.
    /// @param id of the dispute
    function resolve(uint256 id) external {
        Dispute storage dispute = _at(id, Stage.Judging);
        Committees.Committee storage committee = _committees[id];
        if (block.timestamp < dispute.revealUntil && committee.wrong + committee.right < committee.seats) {
            revert DisputeCourt_TooEarly(dispute.revealUntil);
        }
        if (2 * committee.wrong > committee.seats) _end(id, dispute, Stage.Upheld);
        else if (2 * committee.right > committee.seats) _end(id, dispute, Stage.Rejected);
        else _end(id, dispute, Stage.Undecided);
    }

    /// @notice Pays out what was awarded to the caller.
    function withdraw() external {
        uint256 amount = awards[msg.sender];
        if (amount == 0) revert DisputeCourt_NothingAwarded(msg.sender);
        awards[msg.sender] = 0;
        emit Withdrawn(msg.sender, amount);
        TOKEN.safeTransfer(msg.sender, amount);
    }

    // ---- what can be read ----

    /// @notice What a verifier commits to.
    /// @param id of the dispute
    /// @param verifier whose verdict
    /// @param wrong whether the result is wrong
    /// @param output hash of the output the verifier got
    /// @param salt random, so that the verdict cannot be guessed
    /// @return the commitment
    function commitmentOf(uint256 id, address verifier, bool wrong, bytes32 output, bytes32 salt)
        public
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(id, verifier, wrong, output, salt));
    }

    /// @notice Who judges a dispute.
    /// @param id of the dispute
    /// @return nobody before they are drawn
    function verifiersOf(uint256 id) external view returns (address[] memory) {
        return _committees[id].verifiers;
    }

    // ---- inside ----

    function _end(uint256 id, Dispute storage dispute, Stage outcome) private {
        dispute.stage = outcome;
        emit DisputeResolved(id, outcome);
        Committees.Committee storage committee = _committees[id];
        uint256 pot = _releaseVerifiers(committee, outcome);
        (uint256 bond, address provider) = (dispute.bond, dispute.provider);
        if (outcome == Stage.Undecided) {
            _award(dispute.challenger, bond);
            _award(TREASURY, pot);
        } else if (outcome == Stage.Rejected) {
            _award(provider, _shareOut(committee, false, pot + bond));
        } else {
            uint256 stake = REGISTRY.providers(provider).stake;
            uint256 taken = REGISTRY.slash(provider, stake * PARAMETERS.get(Parameters.Name.WrongResultSlash) / 10_000);
            uint256 whole = taken < dispute.charged ? taken : dispute.charged;
            _award(dispute.requester, whole);
            _award(dispute.challenger, bond + _shareOut(committee, true, pot + taken - whole));
        }
        REGISTRY.unhold(provider);
    }

    /// @dev Who was absent, or voted against the majority, pays.
    function _releaseVerifiers(Committees.Committee storage committee, Stage outcome) private returns (uint256 pot) {
        uint256 fine = PARAMETERS.get(Parameters.Name.VerifierSlash);
        for (uint256 i; i < committee.verifiers.length; ++i) {
            address verifier = committee.verifiers[i];
            Committees.Verdict verdict = committee.verdicts[verifier];
            bool lost = verdict == Committees.Verdict.None
                || (outcome == Stage.Upheld && verdict == Committees.Verdict.Right)
                || (outcome == Stage.Rejected && verdict == Committees.Verdict.Wrong);
            if (lost) pot += REGISTRY.slash(verifier, fine);
            REGISTRY.unhold(verifier);
        }
    }

    /// @dev Half for the verifiers of the majority. @return rest what is left for the party that was right
    function _shareOut(Committees.Committee storage committee, bool wrong, uint256 pot) private returns (uint256 rest) {
        uint256 share = pot / 2 / (wrong ? committee.wrong : committee.right);
        rest = pot;
        for (uint256 i; i < committee.verifiers.length; ++i) {
            address verifier = committee.verifiers[i];
            if (committee.verdicts[verifier] != (wrong ? Committees.Verdict.Wrong : Committees.Verdict.Right)) {
                continue;
            }
            _award(verifier, share);
            rest -= share;
        }
    }

    /// @dev The harmed first, a fifth of the rest to who proved it, what is left to the treasury.
    function _distribute(uint256 amount, address harmed, uint256 loss) private {
        uint256 whole = amount < loss ? amount : loss;
        uint256 reward = (amount - whole) / 5;
        _award(harmed, whole);
        _award(msg.sender, reward);
        _award(TREASURY, amount - whole - reward);
    }

    function _award(address owner, uint256 amount) private {
        if (amount == 0) return;
        awards[owner] += amount;
        emit Awarded(owner, amount);
    }

    function _slash(address provider, uint256 amount) private returns (uint256 taken) {
        taken = REGISTRY.slash(provider, amount);
        if (taken == 0) revert DisputeCourt_NothingAtStake(provider);
    }

    function _judge(bytes32 fault) private {
        if (isJudged[fault]) revert DisputeCourt_Judged(fault);
        isJudged[fault] = true;
    }

    function _at(uint256 id, Stage stage) private view returns (Dispute storage dispute) {
        dispute = disputes[id];
        if (dispute.stage != stage) revert DisputeCourt_WrongStage(dispute.stage);
    }

    function _checkReceipt(TaskReceipt calldata receipt, bytes calldata signature) private view {
        _checkSigned(receipt.provider, receipt.finishedAt, keccak256(abi.encode(RECEIPT_TYPEHASH, receipt)), signature);
    }

    /// @dev By a key that was the provider's operator at that time, not in the future and not too long ago.
    function _checkSigned(address provider, uint256 at, bytes32 message, bytes calldata signature) private view {
        address operator = Signatures.recover(_hashTypedDataV4(message), signature);
        bool timely = at <= block.timestamp && block.timestamp <= at + STATEMENT_LIFE;
        if (!timely || !REGISTRY.isOperatorAt(provider, operator, at)) revert DisputeCourt_BadStatement(provider, at);
    }
}
