/** `daicn balance`, `transfer`, `deposit`, `withdraw`, `lanes`, `lock`, `unlock`, `close`, `release` and `settle`. */

import type { LocalAccount } from 'viem'
import { formatAmount, parseAmount } from '#core/money.ts'
import type { AccountView } from '#core/protocol/account.ts'
import type { Address } from '#core/protocol/values.ts'
import * as accounts from '../chain/accounts.ts'
import { type Chain, chainTime } from '../chain/chain.ts'
import { stakeOf } from '../chain/stake.ts'
import { transfer as sendTokens } from '../chain/token.ts'
import { signIn } from '../daicn.ts'
import { addressOf, type ChainOptions, openToRead, openWallet, sentView, tellSent } from './chain.ts'
import { type Cli, edgeOf, open, print, UsageError } from './cli.ts'

export type SignerOption = ChainOptions & { signer?: Address }
export type PayerOption = SignerOption & { payer?: Address }

const tokens = (amount: bigint) => `${formatAmount(amount)} tokens`

/** Of any address; of our own unless told. */
export async function balance(cli: Cli, named: Address | undefined, options: ChainOptions): Promise<void> {
  const chain = named === undefined ? await openWallet(cli, options) : await openToRead(cli, options)
  const address = named ?? (chain.account!.address.toLowerCase() as Address)
  const held = await accounts.balance(chain, address)
  const told = {
    address,
    tokens: formatAmount(held.tokens),
    ether: formatAmount(held.ether),
    earned: formatAmount(held.earned),
    accounts: held.accounts.map(({ account, signer, free, locked }) => ({
      account,
      signer,
      free: formatAmount(free),
      locked: formatAmount(locked),
    })),
  }
  print(cli, told, () => {
    cli.out.item('address', address)
    cli.out.item('in hand', tokens(held.tokens))
    cli.out.item('ether', told.ether)
    if (held.earned > 0n) cli.out.item('earned', `${tokens(held.earned)}, not paid out yet`)
    for (const { signer, free, locked } of held.accounts) {
      cli.out.item('account', `${tokens(free)} free, ${tokens(locked)} locked; spent by ${signer}`)
    }
  })
}

export async function transfer(cli: Cli, to: Address, amount: string, options: ChainOptions): Promise<void> {
  const sent = await sendTokens(await openWallet(cli, options), to, parseAmount(amount))
  print(cli, { ...sentView(sent), amount, to }, () => {
    cli.out.done('sent', `${amount} tokens to ${to}`)
    tellSent(cli, sent)
  })
}

export async function deposit(cli: Cli, amount: string, options: PayerOption): Promise<void> {
  const signer = options.signer ?? (await signerOfEdge(cli, options))
  const wallet = await openWallet(cli, options)
  const payer = options.payer ?? addressOf(wallet)
  const sent = await accounts.deposit(wallet, parseAmount(amount), payer, signer)
  print(cli, { ...sentView(sent), amount, payer, signer, account: accounts.accountId(payer, signer) }, () => {
    cli.out.done('deposited', `${amount} tokens, to be spent by ${signer}`)
    tellSent(cli, sent)
  })
}

/** By the edge we are logged in to, an account is spent by a key of the edge's. */
async function signerOfEdge(cli: Cli, { deployment }: ChainOptions): Promise<Address> {
  const account: AccountView | undefined =
    deployment === undefined ? await (await open(cli)).account({ signal: cli.signal }) : undefined
  if (account?.chain) return account.chain.signer
  throw new UsageError(
    'Who may spend the deposit?',
    'Name the key with --signer ADDRESS; your own address keeps it in your hands.',
  )
}

export async function withdraw(cli: Cli, amount: string, options: SignerOption): Promise<void> {
  const wallet = await openWallet(cli, options)
  const account = await ownAccount(wallet, addressOf(wallet), options.signer)
  const wanted = amount === 'all' ? account.free : parseAmount(amount)
  const sent = await accounts.withdraw(wallet, account.signer, wanted)
  print(cli, { ...sentView(sent), amount: formatAmount(wanted), signer: account.signer }, () => {
    cli.out.done('withdrawn', tokens(wanted))
    tellSent(cli, sent)
  })
}

/** The account of a payer that is meant: named by its signer, or the only one. */
async function ownAccount(chain: Chain, payer: Address, signer: Address | undefined): Promise<accounts.AccountOnChain> {
  const all = await accounts.accountsOf(chain, payer)
  const meant = signer === undefined ? all : all.filter((account) => account.signer === signer)
  if (meant.length === 1) return meant[0]!
  throw meant.length === 0
    ? new UsageError(`${payer} has no such account`, 'See `daicn balance`.')
    : new UsageError(`${payer} has ${meant.length} accounts`, 'Name one with --signer ADDRESS; see `daicn balance`.')
}

export async function lanes(cli: Cli, named: Address | undefined, options: ChainOptions): Promise<void> {
  const chain = named === undefined ? await openWallet(cli, options) : await openToRead(cli, options)
  const payer = named ?? (chain.account!.address.toLowerCase() as Address)
  const all = await Promise.all(
    (await accounts.accountsOf(chain, payer)).map(async ({ account, signer }) =>
      (await accounts.lanesOf(chain, account)).map((lane) => ({ signer, ...lane })),
    ),
  )
  const told = all.flat().map(({ account, signer, receiver, paid, locked, epoch, unlockAt }) => ({
    account,
    signer,
    receiver,
    paid: formatAmount(paid),
    locked: formatAmount(locked),
    epoch: Number(epoch),
    unlockAt,
  }))
  print(cli, told, () =>
    cli.out.table(
      ['provider', 'signer', 'paid', 'locked', 'unlocks'],
      told.map(({ receiver, signer, paid, locked, unlockAt }) => [receiver, signer, paid, locked, time(unlockAt)]),
    ),
  )
}

const time = (seconds: number | null) => (seconds === null ? '' : new Date(seconds * 1000).toISOString())

/** Locks so much more. We must be the account's signer; its payer may be another. */
export async function lock(cli: Cli, receiver: Address, amount: string, options: PayerOption): Promise<void> {
  const wallet = await openWallet(cli, options)
  const sent = await accounts.lock(wallet, options.payer ?? addressOf(wallet), receiver, parseAmount(amount))
  print(cli, { ...sentView(sent), receiver, amount }, () => {
    cli.out.done('locked', `${amount} tokens more for ${receiver}`)
    tellSent(cli, sent)
  })
}

/** Asks for what is locked; the same command frees it once its time has come. */
export async function unlock(cli: Cli, receiver: Address, options: SignerOption): Promise<void> {
  const wallet = await openWallet(cli, options)
  const { account, signer } = await ownAccount(wallet, addressOf(wallet), options.signer)
  const { unlockAt, locked } = await accounts.laneOf(wallet, account, receiver)
  if (unlockAt !== null && (await chainTime(wallet)) >= unlockAt) {
    const sent = await accounts.finalizeUnlock(wallet, account, receiver)
    return print(cli, { ...sentView(sent), receiver, freed: formatAmount(locked) }, () => {
      cli.out.done('unlocked', `${tokens(locked)} are free again`)
      tellSent(cli, sent)
    })
  }
  const sent = await accounts.requestUnlock(wallet, signer, receiver)
  const { unlockAt: from } = await accounts.laneOf(wallet, account, receiver)
  print(cli, { ...sentView(sent), receiver, unlockAt: from }, () => {
    cli.out.done('asked', `for ${tokens(locked)}; run it again after ${time(from)}`)
    tellSent(cli, sent)
  })
}

/** How long a provider may take to sign that it charges no more: its agent looks each minute and a half. */
const CLOSING_MS = 5 * 60_000

/** Leaves a provider: it signs that it charges no more, and what is locked for it is free at once. */
export async function close(cli: Cli, provider: Address, options: SignerOption): Promise<void> {
  const wallet = await openWallet(cli, options)
  const { account } = await ownAccount(wallet, addressOf(wallet), options.signer)
  const owner = await signIn({ edge: await edgeOf(cli) }, wallet.account as LocalAccount, { signal: cli.signal })
  const late = AbortSignal.timeout(CLOSING_MS)
  const { statement, release } = await cli.err
    .step(
      'closing',
      () => owner.lanes.close({ account, provider }, { signal: AbortSignal.any([cli.signal, late]) }),
      ({ charged }) => `it charged ${charged} tokens in all`,
    )
    .then(({ closing }) => closing)
    .catch((error) => {
      if (!late.aborted) throw error
      throw new UsageError('The provider does not answer', `Ask for the lane without it: \`daicn unlock ${provider}\`.`)
    })
  const { locked, epoch } = await accounts.laneOf(wallet, account, provider)
  const message = { account, receiver: provider, epoch: BigInt(release.epoch), deadline: BigInt(release.deadline) }
  const isReleased = epoch !== message.epoch
  const sent = isReleased ? undefined : await accounts.releaseSigned(wallet, message, release.signature)
  const freed = isReleased ? 0n : locked
  const { stake } = await stakeOf(wallet, provider)
  const told = { provider, freed: formatAmount(freed), stake: formatAmount(stake), statement }
  print(cli, { ...(sent && sentView(sent)), ...told }, () => {
    cli.out.done('closed', `${tokens(freed)} are free again; it has ${tokens(stake)} at stake for its word`)
    if (sent) tellSent(cli, sent)
    cli.err.note(
      'With --json you have what it signed: for `daicn dispute overclaim`, should it claim more within 14 days.',
    )
  })
}

export type ReleaseOptions = SignerOption & { provider?: Address }

/** Frees what a payer has locked for us, at once. */
export async function release(cli: Cli, payer: Address, options: ReleaseOptions): Promise<void> {
  const wallet = await openWallet(cli, options)
  const { account } = await ownAccount(wallet, payer, options.signer)
  const provider = options.provider ?? addressOf(wallet)
  const { locked } = await accounts.laneOf(wallet, account, provider)
  const sent = await accounts.release(wallet, account, provider)
  print(cli, { ...sentView(sent), payer, provider, freed: formatAmount(locked) }, () => {
    cli.out.done('released', `${tokens(locked)} are free again for ${payer}`)
    tellSent(cli, sent)
  })
}

/** Pays out what was claimed and not paid yet: to us, unless told. Our agent's own claims pay out by themselves. */
export async function settle(cli: Cli, named: Address | undefined, options: ChainOptions): Promise<void> {
  const wallet = await openWallet(cli, options)
  const receiver = named ?? addressOf(wallet)
  const { earned } = await accounts.balance(wallet, receiver)
  const sent = await accounts.settle(wallet, receiver)
  print(cli, { ...sentView(sent), receiver, amount: formatAmount(earned) }, () => {
    cli.out.done('settled', `${tokens(earned)} to ${receiver}`)
    tellSent(cli, sent)
  })
}
