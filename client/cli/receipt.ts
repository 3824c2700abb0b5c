/** `daicn receipt` and `verify`. */
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { HourHead, LogConsistency } from '#core/hour-log.ts'
import type { Address } from '#core/protocol/values.ts'
import { hourNumber } from '#core/public-log.ts'
import type { Check, Receipt } from '#core/receipt.ts'
import { ROOT_KINDS } from '#core/root.ts'
import { verifyReceipt } from '../receipt.ts'
import type { ChainOptions } from './chain.ts'
import { type Cli, open, print, UsageError } from './cli.ts'
import { seconds } from './terminal.ts'

/** A receipt or a log does not verify; the checks have been told. */
export class NotVerified extends Error {
  readonly code = 'receipt_not_verified'
  readonly hint = 'Do not rely on it.'
  readonly checks: Check[]

  constructor(checks: Check[]) {
    const fields = checks.filter(({ ok }) => !ok).map(({ field }) => field || 'all of it')
    super(`The ${fields.every((field) => field === 'log') ? 'log' : 'receipt'} does not verify: ${fields.join(', ')}`)
    this.name = 'NotVerified'
    this.checks = checks
  }
}

export async function receipt(cli: Cli, task: string): Promise<void> {
  const told = await (await open(cli)).receipt(task, { signal: cli.signal })
  process.stdout.write(`${JSON.stringify(told, null, cli.json ? 0 : 2)}\n`)
}

export type VerifyOptions = ChainOptions & { output?: string; log?: string[]; consistency?: string; poster?: Address }

/** Asks nobody, unless roots are to be looked up on the chain. @throws NotVerified */
export async function verify(cli: Cli, file: string | undefined, options: VerifyOptions): Promise<void> {
  const { output, log, consistency, poster } = options
  if (poster && !log) throw new UsageError('There are no roots to look up', 'Name the exports by --log FILE.')
  if (file === undefined && !log) throw new UsageError('There is nothing to verify', 'Name a receipt, or --log FILE.')
  const receipt = file === undefined ? undefined : await jsonOf(file)
  const held = output === undefined ? {} : { output: outputOf(await jsonOf(output)) }
  const own = file === undefined ? [] : (await verifyReceipt(receipt, held)).checks
  const isWhole = own.every(({ ok }) => ok)
  const heads = consistency === undefined ? [] : headsOf(await jsonOf(consistency))
  const logged = isWhole ? (receipt as Receipt | undefined) : undefined
  const checks = [...own, ...(log ? await logChecks(log, heads, logged) : [])]
  if (poster && log && checks.every((check) => check.ok)) checks.push(...(await rootChecks(cli, log, poster, options)))
  const ok = checks.every((check) => check.ok)
  if (!cli.json) {
    if (ok && file !== undefined) tell(cli, receipt as Receipt)
    for (const { field, what, ok } of checks) {
      if (ok) cli.out.line(`${cli.out.good('✓')} ${what}`)
      else cli.out.fault(`${field}:`, `not true: ${what}`)
    }
  }
  if (!ok) throw new NotVerified(checks)
  if (cli.json) print(cli, { ok, checks }, () => {})
}

async function logChecks(files: string[], heads: HourHead[], receipt: Receipt | undefined): Promise<Check[]> {
  const { proofOf, verifyLog } = await import('../log.ts')
  const exports = await Promise.all(files.map((file) => readFile(file, 'utf8')))
  const { ok, checks } = await verifyLog(exports, heads)
  const told = checks.map((check) => ({ field: 'log', ...check }))
  if (!receipt || !ok) return told
  const found = await proofOf(receipt, exports.at(-1)!)
  const what = found ? `it is in the log as ${found.hash}` : 'it is in the last of these hours'
  return [...told, { field: 'log', what, ok: found !== null }]
}

/** Of exports that are as their heads say. */
async function rootChecks(cli: Cli, files: string[], poster: Address, options: ChainOptions): Promise<Check[]> {
  const [{ openToRead }, { postedRoots }] = await Promise.all([import('./chain.ts'), import('../chain/root.ts')])
  const chain = await openToRead(cli, options)
  const checks = files.map(async (file): Promise<Check[]> => {
    const [first = ''] = (await readFile(file, 'utf8')).split('\n', 1)
    const head = HourHead.parse(JSON.parse(first))
    const posted = await postedRoots(chain, poster, hourNumber(head.hour))
    return ROOT_KINDS.map((tree) => {
      const what = `${head.hour}: the root of its ${tree} is on the chain, posted by ${poster}`
      return { field: 'log', what, ok: posted[tree] === head[tree].root }
    })
  })
  return (await Promise.all(checks)).flat()
}

function tell({ out }: Cli, receipt: Receipt): void {
  const { task, attempt, provider, requester, kind, model, units, price, grantedAt, acceptedAt } = receipt
  out.item('task', `${task}, attempt ${attempt}`)
  out.item('work', `${kind} by ${model}`)
  out.item('provider', provider)
  out.item('requester', requester)
  out.item('price', `${price} tokens for ${units} units`)
  out.item('time', `${new Date(acceptedAt).toISOString()}, after ${seconds(acceptedAt - grantedAt)}`)
  out.line()
}

/** What a file holds, or standard input for -. @throws UsageError */
export async function jsonOf(file: string): Promise<unknown> {
  const content = file === '-' ? await text(process.stdin) : await readFile(file, 'utf8')
  try {
    return JSON.parse(content)
  } catch {
    throw new UsageError(`${file} holds no JSON`, 'Make it with `daicn receipt TASK`, or `daicn run --json`.')
  }
}

/** @throws UsageError */
function headsOf(value: unknown): HourHead[] {
  const parsed = LogConsistency.safeParse(value)
  if (parsed.success) return parsed.data.heads
  throw new UsageError('That is no proof of consistency', 'Get it from /v1/log/consistency?from=HOUR&to=HOUR.')
}

/** An output, or that of a task. */
export function outputOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'output' in value ? value.output : value
}
