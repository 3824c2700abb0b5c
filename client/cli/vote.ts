/** `daicn delegate`, `propose`, `proposals`, `vote`, `queue`, `execute` and `parameters`. */
import { formatAmount, isAmount, parseAmount } from '#core/money.ts'
import { PARAMETERS, type ParameterName, type Support } from '#core/parameters.ts'
import type { Address } from '#core/protocol/values.ts'
import type { Chain, Sent, Wallet } from '../chain/chain.ts'
import * as governance from '../chain/governance.ts'
import { addressOf, type ChainOptions, openToRead, openWallet, sentView, tellSent } from './chain.ts'
import { type Cli, print, UsageError } from './cli.ts'

/** To ourselves unless told. */
export async function delegate(cli: Cli, named: Address | undefined, options: ChainOptions): Promise<void> {
  const wallet = await openWallet(cli, options)
  const to = named ?? addressOf(wallet)
  const sent = await governance.delegate(wallet, to)
  print(cli, { delegate: to, transactions: sent.map(sentView) }, () => {
    cli.out.done('delegated', `${to} votes with your tokens`)
    tellSent(cli, ...sent)
  })
}

export async function parameters(cli: Cli, options: ChainOptions): Promise<void> {
  const all = await governance.parameters(await openToRead(cli, options))
  const told = all.map(({ name, value, low, high }) => {
    const write = (amount: bigint) => (PARAMETERS[name] === 'tokens' ? formatAmount(amount) : String(amount))
    return { name, value: write(value), unit: PARAMETERS[name], low: write(low), high: write(high) }
  })
  print(cli, told, () =>
    cli.out.table(
      ['parameter', 'value', 'unit', 'from', 'to'],
      told.map(({ name, value, unit, low, high }) => [name, value, unit, low, high]),
    ),
  )
}

export type ProposeOptions = ChainOptions & { why: string }

/** To set a parameter. What is out of its bounds is told before anybody votes on it. */
export async function proposeParameter(
  cli: Cli,
  name: ParameterName,
  value: string,
  { why, ...options }: ProposeOptions,
): Promise<void> {
  const wallet = await openWallet(cli, options)
  const { low, high } = await governance.parameter(wallet, name)
  const wanted = toValue(name, value)
  if (wanted < low || wanted > high) {
    throw new UsageError(`${value} is out of the bounds of ${name}`, 'See `daicn parameters`.')
  }
  await propose(cli, wallet, governance.setParameter(wallet, name, wanted), why)
}

/** To pay tokens of the treasury to somebody. */
export async function proposePayment(
  cli: Cli,
  to: Address,
  amount: string,
  { why, ...options }: ProposeOptions,
): Promise<void> {
  const wallet = await openWallet(cli, options)
  await propose(cli, wallet, governance.payFromTreasury(wallet, to, parseAmount(amount)), why)
}

function toValue(name: ParameterName, text: string): bigint {
  const unit = PARAMETERS[name]
  if (unit === 'tokens' ? isAmount(text) : /^\d{1,18}$/.test(text)) {
    return unit === 'tokens' ? parseAmount(text) : BigInt(text)
  }
  throw new UsageError(`${text} is no number of ${unit}`, 'See `daicn parameters`.')
}

async function propose(cli: Cli, wallet: Wallet, deed: governance.Deed, why: string): Promise<void> {
  const sent = await governance.propose(wallet, deed, why)
  const { begins, ends } = await governance.proposal(wallet, sent.id)
  print(cli, { ...sentView(sent), id: String(sent.id), begins: Number(begins), ends: Number(ends) }, () => {
    process.stdout.write(`${sent.id}\n`)
    cli.err.note(`Voting is from ${time(begins)} to ${time(ends)}.`)
    tellSent(cli, sent)
  })
}

const time = (seconds: bigint) => new Date(Number(seconds) * 1000).toISOString()

export async function proposals(cli: Cli, options: ChainOptions): Promise<void> {
  const told = (await governance.proposals(await openToRead(cli, options))).map(proposalView)
  print(cli, told, () =>
    cli.out.table(
      ['proposal', 'state', 'for', 'against', 'abstain', 'quorum', 'ends'],
      told.map(({ id, state, for: inFavour, against, abstain, quorum, ends }) => [
        id,
        state,
        inFavour,
        against,
        abstain,
        quorum,
        new Date(ends * 1000).toISOString(),
      ]),
    ),
  )
}

function proposalView(proposal: governance.Proposal) {
  const { id, state, for: inFavour, against, abstain, quorum, begins, ends, executableAt } = proposal
  return {
    id: String(id),
    state,
    for: formatAmount(inFavour),
    against: formatAmount(against),
    abstain: formatAmount(abstain),
    quorum: formatAmount(quorum),
    begins: Number(begins),
    ends: Number(ends),
    executableAt: executableAt === null ? null : Number(executableAt),
  }
}

export type VoteOptions = ChainOptions & { reason?: string }

export async function vote(cli: Cli, id: bigint, support: Support, { reason, ...options }: VoteOptions): Promise<void> {
  const wallet = await openWallet(cli, options)
  const { votes } = await governance.votesOf(wallet, addressOf(wallet))
  if (votes === 0n) throw new UsageError('You have no votes', 'Run `daicn delegate` before the vote begins.')
  await move(cli, wallet, id, await governance.vote(wallet, id, support, reason))
}

export async function queue(cli: Cli, id: bigint, options: ChainOptions): Promise<void> {
  const wallet = await openWallet(cli, options)
  await move(cli, wallet, id, await governance.queue(wallet, id))
}

export async function execute(cli: Cli, id: bigint, options: ChainOptions): Promise<void> {
  const wallet = await openWallet(cli, options)
  await move(cli, wallet, id, await governance.execute(wallet, id))
}

/** Tells a proposal as it is after a transaction. */
async function move(cli: Cli, chain: Chain, id: bigint, sent: Sent): Promise<void> {
  const told = proposalView(await governance.proposal(chain, id))
  print(cli, { ...sentView(sent), ...told }, () => {
    cli.out.done(told.state, `${told.for} for, ${told.against} against, ${told.abstain} abstain`)
    tellSent(cli, sent)
  })
}
