/** `daicn stake`, `operator` and `unbond`. */
import { formatAmount, parseAmount } from '#core/money.ts'
import type { Address } from '#core/protocol/values.ts'
import type { Sent } from '../chain/chain.ts'
import * as stakes from '../chain/stake.ts'
import { addressOf, type ChainOptions, openWallet, sentView, tellSent } from './chain.ts'
import { type Cli, print } from './cli.ts'

export type StakeOptions = ChainOptions & { operator?: Address; provider?: Address }

/** Registers us first, if we are not a provider yet: with our own key for an operator, unless another is named. */
export async function stake(cli: Cli, amount: string, { operator, provider, ...options }: StakeOptions): Promise<void> {
  const wallet = await openWallet(cli, options)
  const own = addressOf(wallet)
  const whose = provider ?? own
  const sent: Sent[] = []
  if (whose === own && (await stakes.stakeOf(wallet, own)).operator === null) {
    sent.push(await stakes.register(wallet, operator ?? own))
  }
  sent.push(await stakes.stake(wallet, whose, parseAmount(amount)))
  const now = await stakes.stakeOf(wallet, whose)
  const told = { provider: whose, operator: now.operator, stake: formatAmount(now.stake) }
  print(cli, { ...told, transactions: sent.map(sentView) }, () => {
    cli.out.done('staked', `${amount} tokens, ${told.stake} in all`)
    tellSent(cli, ...sent)
  })
}

/** Has another key sign what our agent states. */
export async function operator(cli: Cli, key: Address, options: ChainOptions): Promise<void> {
  const wallet = await openWallet(cli, options)
  const sent = await stakes.rotateOperator(wallet, key)
  const { next } = await stakes.stakeOf(wallet, addressOf(wallet))
  print(cli, { ...sentView(sent), ...next! }, () => {
    cli.out.done('operator', `${key}, from ${new Date(next!.from * 1000).toISOString()} on`)
    tellSent(cli, sent)
  })
}

/** Asks for so much back; without an amount, pays out what was asked for before. */
export async function unbond(cli: Cli, amount: string | undefined, options: ChainOptions): Promise<void> {
  const wallet = await openWallet(cli, options)
  const own = addressOf(wallet)
  const before = await stakes.stakeOf(wallet, own)
  const sent =
    amount === undefined
      ? await stakes.finalizeUnbond(wallet, own)
      : await stakes.requestUnbond(wallet, parseAmount(amount))
  const { stake, unbonding, unbondsAt } = await stakes.stakeOf(wallet, own)
  const told = { stake: formatAmount(stake), unbonding: formatAmount(unbonding), unbondsAt }
  print(cli, { ...sentView(sent), ...told }, () => {
    if (unbondsAt === null) cli.out.done('unbonded', `${formatAmount(before.unbonding)} tokens`)
    else cli.out.done('unbonding', `${told.unbonding} tokens, until ${new Date(unbondsAt * 1000).toISOString()}`)
    tellSent(cli, sent)
  })
}
