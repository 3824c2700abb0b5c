/** What the contracts say when they refuse, in words. */
import {
  daicnGovernorAbi,
  daicnSettlementAbi,
  daicnTimelockAbi,
  daicnTokenAbi,
  disputeCourtAbi,
  parametersAbi,
  providerRegistryAbi,
  receiptLogAbi,
} from '#contracts/abi.ts'
import { formatAmount } from '#core/money.ts'

const ABIS = [
  daicnTokenAbi,
  daicnSettlementAbi,
  parametersAbi,
  providerRegistryAbi,
  disputeCourtAbi,
  receiptLogAbi,
  daicnTimelockAbi,
  daicnGovernorAbi,
]

/** Every error that a call can end with: one contract passes on those of another that it called. */
export const REFUSALS = ABIS.flatMap((abi) => abi.filter((item) => item.type === 'error'))

type Amount = bigint
type Args = readonly unknown[]

const tokens = (amount: unknown): string => `${formatAmount(amount as Amount)} tokens`
const time = (seconds: unknown): string => new Date(Number(seconds) * 1000).toISOString().replace('.000', '')

const STAGES = ['not open', 'waiting for its verifiers to be drawn', 'being judged', 'upheld', 'rejected', 'undecided']
/** In the governor's order. */
export const PROPOSAL_STATES = [
  'pending',
  'active',
  'canceled',
  'defeated',
  'succeeded',
  'queued',
  'expired',
  'executed',
] as const

/** By the error's name; the arguments are the error's own. */
const WORDS: Record<string, (...args: Args) => string> = {
  ERC20InsufficientBalance: (_, balance, needed) => `you hold ${tokens(balance)}, and ${tokens(needed)} are needed`,
  ERC20InsufficientAllowance: (_, allowance, needed) =>
    `${tokens(allowance)} are approved of the ${tokens(needed)} needed`,
  ERC2612ExpiredSignature: (deadline) => `the permit expired at ${time(deadline)}`,
  ERC2612InvalidSigner: () => 'the permit was signed by another key',
  ERC3009InvalidAuthorizationTime: (after, before) => `the payment counts from ${time(after)} to ${time(before)}`,
  ERC3009InvalidSignature: () => 'the payment was signed by another key',
  ERC3009UsedAuthorization: () => 'the payment was made before',

  DaicnSettlement_InexactDeposit: (received, amount) =>
    `the token paid ${tokens(received)} instead of ${tokens(amount)}`,
  DaicnSettlement_BadSignature: (signer) => `the message was not signed by ${signer}`,
  DaicnSettlement_Expired: (deadline) => `the message expired at ${time(deadline)}`,
  DaicnSettlement_NotReceiver: (_, receiver) => `only ${receiver} and its operator may claim for it`,
  DaicnSettlement_NothingEarned: (receiver) => `${receiver} has earned nothing since it was last paid`,
  Ledger_NoAccount: () => 'the account was never paid into',
  Ledger_NoSigner: () => 'an account needs a signer',
  Ledger_Insufficient: (_, free, needed) => `the account has ${tokens(free)} free, and ${tokens(needed)} are needed`,
  Ledger_StaleEpoch: (signed, current) =>
    `the message is for epoch ${signed} of the lane, which is in epoch ${current}`,
  Ledger_LastEpoch: () => 'the lane was unlocked too often to be locked again',
  Ledger_Unlocking: (at) => `the lane is being unlocked, until ${time(at)}`,
  Ledger_NotUnlocking: () => 'nobody has asked to unlock the lane',
  Ledger_TooEarly: (at) => `the lane can be unlocked from ${time(at)} on`,
  Vouchers_Truncated: (offset) => `the vouchers end in the middle of the one at byte ${offset}`,

  ProviderRegistry_NotRegistered: (provider) => `${provider} is not registered as a provider`,
  ProviderRegistry_BadOperator: (operator) => `${operator} cannot be the operator: it is or was one, or is no key`,
  ProviderRegistry_Insufficient: (stake, needed) =>
    `${tokens(stake)} are at stake and not leaving, and ${tokens(needed)} were asked for`,
  ProviderRegistry_TooEarly: (at) =>
    at === 0 || at === 0n ? 'no stake is leaving' : `the stake leaves at ${time(at)}`,
  ProviderRegistry_Held: (disputes) => `the stake stays while disputes are open: ${disputes}`,
  ProviderRegistry_NotCourt: () => 'only the court may do that',

  DisputeCourt_BadStatement: (provider) =>
    `it was not signed by the operator of ${provider} at that time, or is older than 14 days`,
  DisputeCourt_NoFault: () => 'this proves no fault',
  DisputeCourt_Judged: () => 'this fault was punished before, or is in dispute',
  DisputeCourt_NothingAtStake: (provider) => `${provider} has nothing at stake`,
  DisputeCourt_TooLate: (until) => `the time for that ended at ${time(until)}`,
  // A block's number or a time: no chain has counted as many blocks as there are seconds.
  DisputeCourt_TooEarly: (from) => `it is too early, until ${Number(from) > 1e9 ? time(from) : `block ${from}`}`,
  DisputeCourt_TooFewVerifiers: (active, needed) => `${active} providers can judge, and ${needed} are needed`,
  DisputeCourt_WrongStage: (stage) => `the dispute is ${STAGES[Number(stage)]}`,
  DisputeCourt_NotVerifier: (caller, verifier) => `${caller} may not commit for ${verifier}`,
  DisputeCourt_NothingAwarded: () => 'nothing was awarded to you',
  Committees_Again: () => 'the verifier did so before',
  Committees_BadReveal: () => 'this is not the verdict that was committed to',
  Committees_NotDrawn: (verifier) => `${verifier} was not drawn for this dispute`,

  ReceiptLog_NotBonded: (bond, needed) => `the bond is ${tokens(bond)}, and ${tokens(needed)} are needed`,
  ReceiptLog_HourNotOver: () => 'the hour is not over',
  ReceiptLog_BadRoot: () => 'there is a root for this hour',
  ReceiptLog_TooEarly: (at) =>
    Number(at) === 0 ? 'nobody has asked for the bond' : `the bond can be taken back at ${time(at)}`,
  ReceiptLog_NoContradiction: () => 'what was signed does not contradict what was posted',

  Parameters_NotGovernance: () => 'only a decision of the governor changes a parameter',
  Parameters_OutOfBounds: (_, value, low, high) => `${value} is outside ${low} to ${high}`,
  DaicnTimelock_OutOfBounds: (delay) => `the delay of ${delay} seconds is out of bounds`,
  DaicnGovernor_OutOfBounds: (value, low, high) => `${value} is outside ${low} to ${high}`,
  GovernorAlreadyCastVote: () => 'you have voted on this proposal',
  GovernorInsufficientProposerVotes: (_, votes, threshold) =>
    `you had ${tokens(votes)} of votes a moment ago, and ${tokens(threshold)} are needed to propose`,
  GovernorNonexistentProposal: (id) => `there is no proposal ${id}`,
  GovernorUnexpectedProposalState: (_, state) => `the proposal is ${PROPOSAL_STATES[Number(state)]}`,
  TimelockUnexpectedOperationState: () => 'its time in the timelock is not over',
}

/** Why a contract refused, in words; the name and arguments of an error that has none. */
export function wordsOf(name: string, args: Args = []): string {
  return WORDS[name]?.(...args) ?? `${name}(${args.join(', ')})`
}
