/** `daicn dispute`. */
import { canonicalJson } from '#core/canonical-json.ts'
import { StatementFile } from '#core/lane-statement.ts'
import { formatAmount } from '#core/money.ts'
import type { Address } from '#core/protocol/values.ts'
import { Receipt } from '#core/receipt.ts'
import type { Sent, Wallet } from '../chain/chain.ts'
import * as court from '../chain/court.ts'
import { sha256 } from '../hash.ts'
import { addressOf, type ChainOptions, openToRead, openWallet, sentView, tellSent } from './chain.ts'
import { type Cli, print, UsageError } from './cli.ts'
import { jsonOf, outputOf } from './receipt.ts'

export async function equivocation(cli: Cli, first: string, second: string, options: ChainOptions): Promise<void> {
  const [a, b] = [await receiptIn(first), await receiptIn(second)]
  const wallet = await openWallet(cli, options)
  const sent = await court.proveEquivocation(wallet, a, b)
  tellProven(cli, sent, a.provider)
}

export type OverclaimOptions = ChainOptions & { payer?: Address; signer: Address }

export async function overclaim(
  cli: Cli,
  file: string,
  { payer, signer, ...options }: OverclaimOptions,
): Promise<void> {
  const parsed = StatementFile.safeParse(await jsonOf(file))
  if (!parsed.success)
    throw new UsageError(`${file} holds no statement of a lane`, 'Make it with `daicn --json close`.')
  const { statement } = parsed.data
  const wallet = await openWallet(cli, options)
  const sent = await court.proveOverclaim(wallet, statement, payer ?? addressOf(wallet), signer)
  tellProven(cli, sent, statement.provider)
}

function tellProven(cli: Cli, sent: Sent, provider: Address): void {
  print(cli, { ...sentView(sent), provider }, () => {
    cli.out.done('proven', `${provider} was slashed; \`daicn dispute withdraw\` pays out what you were awarded`)
    tellSent(cli, sent)
  })
}

export async function open(cli: Cli, file: string, options: ChainOptions): Promise<void> {
  const receipt = await receiptIn(file)
  const sent = await court.openDispute(await openWallet(cli, options), receipt)
  print(cli, { ...sentView(sent), id: String(sent.id) }, () => {
    cli.out.done('opened', `dispute ${sent.id} about the result of ${receipt.task}`)
    tellSent(cli, sent)
  })
}

async function receiptIn(file: string): Promise<Receipt> {
  const parsed = Receipt.safeParse(await jsonOf(file))
  if (parsed.success) return parsed.data
  throw new UsageError(`${file} is no receipt`, 'Make one with `daicn receipt TASK`.')
}

export async function show(cli: Cli, id: bigint, options: ChainOptions): Promise<void> {
  const { bond, ...dispute } = await court.disputeOf(await openToRead(cli, options), id)
  print(cli, { ...dispute, id: String(id), bond: formatAmount(bond) }, () => {
    cli.out.item('stage', dispute.stage)
    cli.out.item('provider', dispute.provider)
    cli.out.item('requester', dispute.requester)
    cli.out.item('challenger', `${dispute.challenger}, with a bond of ${formatAmount(bond)} tokens`)
    for (const verifier of dispute.verifiers) cli.out.item('verifier', verifier)
  })
}

export async function draw(cli: Cli, id: bigint, options: ChainOptions): Promise<void> {
  const wallet = await openWallet(cli, options)
  const sent = await court.drawVerifiers(wallet, id)
  const { stage, verifiers } = await court.disputeOf(wallet, id)
  print(cli, { ...sentView(sent), stage, verifiers }, () => {
    cli.out.done(stage, verifiers.join(' '))
    tellSent(cli, sent)
  })
}

export type VerdictOptions = ChainOptions & { output: string; verifier?: Address }

/** Commits us to what we found; it is told by `reveal`, of the same verdict and output. */
export async function commit(cli: Cli, id: bigint, said: string, options: VerdictOptions): Promise<void> {
  const [wallet, verdict] = await verdictOf(cli, said, options)
  const sent = await court.commitVerdict(wallet, id, verdict)
  const { commitUntil, revealUntil } = await court.disputeOf(wallet, id)
  print(cli, { ...sentView(sent), ...verdict, revealFrom: commitUntil, revealUntil }, () => {
    cli.out.done('committed', `reveal it from ${time(commitUntil)} on, before ${time(revealUntil)}`)
    tellSent(cli, sent)
  })
}

export async function reveal(cli: Cli, id: bigint, said: string, options: VerdictOptions): Promise<void> {
  const [wallet, verdict] = await verdictOf(cli, said, options)
  const sent = await court.revealVerdict(wallet, id, verdict)
  print(cli, { ...sentView(sent), ...verdict }, () => {
    cli.out.done('revealed', `the result is ${said}`)
    tellSent(cli, sent)
  })
}

async function verdictOf(
  cli: Cli,
  said: string,
  { output, verifier, ...options }: VerdictOptions,
): Promise<[Wallet, court.Verdict]> {
  const hash = await sha256(new TextEncoder().encode(canonicalJson(outputOf(await jsonOf(output)))))
  const wallet = await openWallet(cli, options)
  return [wallet, { verifier: verifier ?? addressOf(wallet), wrong: said === 'wrong', output: hash }]
}

const time = (seconds: number | null) => new Date(seconds! * 1000).toISOString()

export async function resolve(cli: Cli, id: bigint, options: ChainOptions): Promise<void> {
  const wallet = await openWallet(cli, options)
  const sent = await court.resolveDispute(wallet, id)
  const { stage } = await court.disputeOf(wallet, id)
  print(cli, { ...sentView(sent), stage }, () => {
    cli.out.done(stage, `dispute ${id}`)
    tellSent(cli, sent)
  })
}

/** Pays out what the court has awarded us. */
export async function withdraw(cli: Cli, options: ChainOptions): Promise<void> {
  const wallet = await openWallet(cli, options)
  const amount = formatAmount(await court.awardsOf(wallet, addressOf(wallet)))
  const sent = await court.withdrawAwards(wallet)
  print(cli, { ...sentView(sent), amount }, () => {
    cli.out.done('withdrawn', `${amount} tokens`)
    tellSent(cli, sent)
  })
}
