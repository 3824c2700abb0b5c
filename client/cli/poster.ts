/** `daicn poster`. */
import { formatAmount, parseAmount } from '#core/money.ts'
import type { Address } from '#core/protocol/values.ts'
import { chainTime } from '../chain/chain.ts'
import * as roots from '../chain/root.ts'
import { addressOf, type ChainOptions, openToRead, openWallet, sentView, tellSent } from './chain.ts'
import { type Cli, print } from './cli.ts'

const time = (seconds: number) => new Date(seconds * 1000).toISOString()

export async function show(cli: Cli, poster: Address, options: ChainOptions): Promise<void> {
  const { amount, unbondsAt } = await roots.bondOf(await openToRead(cli, options), poster)
  const bond = formatAmount(amount)
  print(cli, { poster, bond, unbondsAt }, () => {
    cli.out.item('bond', `${bond} tokens`)
    if (unbondsAt !== null) cli.out.item('leaves', `${time(unbondsAt)}; until then nothing can be posted`)
  })
}

export async function bond(cli: Cli, amount: string, options: ChainOptions): Promise<void> {
  const wallet = await openWallet(cli, options)
  const sent = await roots.bond(wallet, parseAmount(amount))
  const bond = formatAmount((await roots.bondOf(wallet, addressOf(wallet))).amount)
  print(cli, { ...sentView(sent), poster: addressOf(wallet), bond }, () => {
    cli.out.done('bonded', `${amount} tokens, ${bond} in all`)
    tellSent(cli, sent)
  })
}

/** Asks for the bond; the same command pays it out once its time has come. */
export async function unbond(cli: Cli, options: ChainOptions): Promise<void> {
  const wallet = await openWallet(cli, options)
  const poster = addressOf(wallet)
  const before = await roots.bondOf(wallet, poster)
  const bond = formatAmount(before.amount)
  if (before.unbondsAt !== null && (await chainTime(wallet)) >= before.unbondsAt) {
    const sent = await roots.finalizeBond(wallet)
    return print(cli, { ...sentView(sent), poster, paid: bond }, () => {
      cli.out.done('unbonded', `${bond} tokens`)
      tellSent(cli, sent)
    })
  }
  const sent = await roots.requestBond(wallet)
  const { unbondsAt } = await roots.bondOf(wallet, poster)
  print(cli, { ...sentView(sent), poster, unbondsAt }, () => {
    cli.out.done('asked', `for ${bond} tokens; run it again after ${time(unbondsAt!)}`)
    tellSent(cli, sent)
  })
}
