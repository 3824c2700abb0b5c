/**
 * The latest voucher of each account, on disk: what the provider is paid by, with or without an edge. One JSON file an
 * account in `<state>/vouchers/`, which appears by rename after its bytes are on disk, so it is whole or not there. Beside them is a
 * mark for each account whose lane we have closed: more than we stated may never be claimed of it.
 */
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Address } from '#core/protocol/values.ts'
import type { Settlement } from '#core/voucher.ts'
import { KeptVoucher } from '#core/voucher-page.ts'
import { writeWhole } from './whole-file.ts'

export type VoucherBook = {
  /** By account, those of one settlement. */
  vouchers: Map<string, KeptVoucher>
  keep: (voucher: KeptVoucher) => Promise<void>
  /** Accounts whose lanes are closed. */
  closed: Set<string>
  close: (account: string) => Promise<void>
}

const CLOSED = '.closed'

/** All that are kept in a state folder. */
export async function loadVouchers(state: string): Promise<KeptVoucher[]> {
  const directory = join(state, 'vouchers')
  const names = await readdir(directory).catch(() => [])
  const texts = names.filter((name) => name.endsWith('.json')).map((name) => readFile(join(directory, name), 'utf8'))
  return (await Promise.all(texts)).flatMap((text) => parse(text) ?? [])
}

/** @param receiver the provider that they pay */
export async function openVoucherBook(state: string, settlement: Settlement, receiver: Address): Promise<VoucherBook> {
  const directory = join(state, 'vouchers')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const ours = (await loadVouchers(state)).filter((kept) => isFor(kept, settlement, receiver))
  const vouchers = new Map(ours.map((kept) => [kept.account as string, kept]))
  const prefix = `${settlement.chainId}-${settlement.address}-`
  const marks = (await readdir(directory)).filter((name) => name.startsWith(prefix) && name.endsWith(CLOSED))
  const closed = new Set(marks.map((name) => name.slice(prefix.length, -CLOSED.length)))
  return {
    vouchers,
    closed,
    async close(account) {
      closed.add(account)
      await writeWhole(join(directory, `${prefix}${account}${CLOSED}`), '')
    },
    async keep(voucher) {
      const file = join(directory, `${prefix}${voucher.account}.json`)
      const text = JSON.stringify(voucher, (_, value) => (typeof value === 'bigint' ? value.toString() : value))
      await writeWhole(file, text)
      vouchers.set(voucher.account, voucher)
    },
  }
}

const isFor = (kept: KeptVoucher, { chainId, address }: Settlement, receiver: Address): boolean =>
  kept.settlement.chainId === chainId && kept.settlement.address === address && kept.receiver === receiver

function parse(text: string): KeptVoucher | undefined {
  try {
    return KeptVoucher.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}
