/** `daicn batch IN OUT`: tasks from a file, one a line, and what became of each into another. */
import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open as openFile, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { DomainError } from '#core/errors.ts'
import { SubmitTask } from '#core/protocol/task.ts'
import { toRequest } from '#core/request.ts'
import type { BatchProgress } from '../batch.ts'
import type { NewTask } from '../task.ts'
import { type Cli, open, print, UsageError } from './cli.ts'
import { seconds } from './terminal.ts'

const MOST_LINES = 50_000
/** The edge remembers the requests of a batch for 24 hours; beyond this its tasks are submitted anew. */
const NAME_MS = 23 * 60 * 60_000

/** Beside the output until all is done: what was read, and the name under which the edge knows the batch. */
type Journal = { input: string; name: string; at: number }

export async function batch(cli: Cli, from: string, to: string): Promise<boolean> {
  const daicn = await open(cli)
  const { total, hash } = await check(from)
  const known = await knownLines(to)
  const journal = await resume(`${to}.batch`, hash)
  const before = [...known.values()]
  const tally: Tally = { total, ended: before.length, failed: before.filter((succeeded) => !succeeded).length }
  const show = progressOf(cli, tally)
  const out = await openFile(to, 'a')
  try {
    const results = daicn.batch(tasksIn(from), {
      name: journal.name,
      isDone: (index) => known.has(index + 1),
      signal: cli.signal,
      onProgress: show,
    })
    for await (const { index, task } of results) {
      tally.ended++
      if (task.status !== 'succeeded') tally.failed++
      await out.appendFile(`${JSON.stringify({ line: index + 1, ...task })}\n`)
    }
  } catch (error) {
    // What was open has been cancelled: under the same name the edge would answer with the cancelled tasks.
    await writeJournal(`${to}.batch`, { ...journal, name: randomUUID() })
    cli.err.draw([])
    cli.err.note(`${count(tally.ended)} of ${count(total)} are in ${to}. The same command goes on from there.`)
    throw error
  } finally {
    await out.close()
  }
  cli.err.draw([])
  await rm(`${to}.batch`, { force: true })
  const succeeded = total - tally.failed
  print(cli, { total, succeeded, failed: tally.failed, output: to }, () => {
    cli.err.done('batch', `${count(succeeded)} of ${count(total)} succeeded  ${to}`)
  })
  return tally.failed === 0
}

/** Reads all lines before anything is paid for, so that no mistake in the last one is met half way. */
async function check(file: string): Promise<{ total: number; hash: string }> {
  const hash = createHash('sha256')
  let total = 0
  for await (const line of linesIn(file)) {
    total++
    hash.update(`${line}\n`)
    if (total > MOST_LINES) throw new UsageError(`${file} has more than ${count(MOST_LINES)} lines`, 'Split it.')
    const fault = faultOf(line)
    if (fault) throw new UsageError(`${file}, line ${total}: ${fault}`, 'Correct it; nothing was submitted.')
  }
  if (total === 0) throw new UsageError(`${file} holds no tasks`, 'Write one task as JSON on each line.')
  return { total, hash: hash.digest('hex') }
}

function faultOf(line: string): string | undefined {
  try {
    const parsed = SubmitTask.safeParse(JSON.parse(line))
    if (parsed.success) toRequest(parsed.data)
    else return `${parsed.error.issues[0]!.path.join('.')}: ${parsed.error.issues[0]!.message}`
  } catch (error) {
    if (error instanceof DomainError) return [error.details.pointer, error.message].filter(Boolean).join(': ')
    return 'not JSON'
  }
  return undefined
}

async function* tasksIn(file: string): AsyncGenerator<NewTask> {
  for await (const line of linesIn(file)) yield JSON.parse(line) as NewTask
}

async function* linesIn(file: string): AsyncGenerator<string> {
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.trim() !== '') yield line
  }
}

/** Lines whose end an earlier run has written, and whether it was a success. Cuts off what was written in part. */
async function knownLines(file: string): Promise<Map<number, boolean>> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return Buffer.alloc(0)
    throw error
  })
  const whole = bytes.lastIndexOf('\n') + 1
  if (whole < bytes.length) await truncate(file, whole)
  const known = new Map<number, boolean>()
  for (const text of bytes.subarray(0, whole).toString().split('\n').slice(0, -1)) {
    const { line, status } = JSON.parse(text) as { line: number; status: string }
    known.set(line, status === 'succeeded')
  }
  return known
}

async function resume(file: string, input: string): Promise<Journal> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  const journal = text === undefined ? undefined : (JSON.parse(text) as Journal)
  if (journal && journal.input !== input) {
    throw new UsageError('The input has changed since this batch began', `Name another output, or remove ${file}.`)
  }
  if (journal && Date.now() - journal.at < NAME_MS) return journal
  const fresh = { input, name: randomUUID(), at: Date.now() }
  await writeJournal(file, fresh)
  return fresh
}

const writeJournal = (file: string, journal: Journal) => writeFile(file, `${JSON.stringify(journal)}\n`)

type Tally = { total: number; ended: number; failed: number }

/** A bar on a terminal; elsewhere a line at each tenth. */
function progressOf(cli: Cli, tally: Tally): (progress: BatchProgress) => void {
  const start = performance.now()
  const { ended: before, total } = tally
  let lastTenth = Math.floor((before / total) * 10)
  let lastDraw = 0
  return ({ ended, failed }) => {
    const now = performance.now()
    const share = (before + ended) / total
    const told = [`${count(before + ended)} of ${count(total)}`, failed > 0 ? `${count(failed)} failed` : '']
    if (!cli.err.live) {
      const tenth = Math.floor(share * 10)
      if (tenth > lastTenth) cli.err.line(told.filter(Boolean).join('  '))
      lastTenth = tenth
      return
    }
    if (now - lastDraw < 100) return
    lastDraw = now
    const left = ended === 0 ? '' : `${seconds(((now - start) / ended) * (total - before - ended))} left`
    cli.err.draw([`  ${cli.err.bar(share, 32)}  ${[...told, cli.err.faint(left)].filter(Boolean).join('  ')}`])
  }
}

const count = (number: number) => number.toLocaleString('en')
