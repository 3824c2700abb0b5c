import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { parseAmount } from '../../core/money.ts'
import { inRoot } from '../../scripts/paths.ts'
import type { Payments } from '../../scripts/payments.ts'
import type { Done } from '../../scripts/showcase.ts'
import { freePort, temporaryState } from '../support/edge.ts'

const MINUTES = 60_000

let firstTasks: Done[] = []

let folder: Awaited<ReturnType<typeof temporaryState>>
beforeAll(async () => {
  folder = await temporaryState()
})
afterAll(() => folder.remove())

type Summary = {
  ok: boolean
  tasks: Done[]
  network: { totalTasks: number; totalProviders: number; activeProviders: number }
  chain: Payments
}

function start(...args: string[]) {
  const env = { ...process.env, NO_COLOR: '1' }
  const child = spawn(process.execPath, [inRoot('scripts/start.ts'), ...args], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  const waiting: { text: string; resolve(): void }[] = []
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk
    for (const { text, resolve } of waiting) if (output.includes(text)) resolve()
  })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  return {
    child,
    output: () => output,
    /** Resolves when the output holds the text; rejects if the program ends first. */
    says: (text: string) =>
      Promise.race([
        new Promise<void>((resolve) => void (output.includes(text) ? resolve() : waiting.push({ text, resolve }))),
        ended.then((code) => Promise.reject(new Error(`ended with ${code} before saying "${text}":\n${output}`))),
      ]),
    ended,
  }
}

async function once(state: string): Promise<{ code: number | null; summary: Summary }> {
  const { output, ended } = start('--once', '--port', String(await freePort()), '--state', state)
  const code = await ended
  return { code, summary: JSON.parse(output().trimEnd().split('\n').at(-1)!) as Summary }
}

test('one command runs three real tasks on two providers and ends with their summary', {
  timeout: 4 * MINUTES,
}, async () => {
  const { code, summary } = await once(folder.state)
  expect(summary.tasks.map(({ kind, status }) => `${kind} ${status}`)).toEqual([
    'text.embed succeeded',
    'doc.ocr succeeded',
    'llm.chat succeeded',
  ])
  expect(code).toBe(0)
  expect(summary.ok).toBe(true)
  const [embedded, page, chat] = summary.tasks.map(({ output }) => output) as [
    { embeddings: number[][] },
    { text: string },
    { content: string },
  ]
  expect(embedded.embeddings).toHaveLength(3)
  expect(page.text.length).toBeGreaterThan(20)
  expect(chat.content.length).toBeGreaterThan(0)
  expect(new Set(summary.tasks.map(({ provider }) => provider)).size).toBe(2)
  for (const { price, ms } of summary.tasks) {
    expect(Number(price)).toBeGreaterThan(0)
    expect(ms).toBeGreaterThan(0)
  }
  expect(summary.network).toMatchObject({ totalProviders: 2, activeProviders: 2, totalTasks: 3 })
  checkChain(summary.chain, summary.tasks)
  firstTasks = summary.tasks
})

/** What stands on the chain is what these tasks came to, to the unit. */
function checkChain(chain: Payments, tasks: Done[]) {
  expect(chain.settled).toBe(true)
  const sum = (amounts: (string | null)[]) => amounts.reduce((total, amount) => total + parseAmount(amount!), 0n)
  for (const { address, paid } of chain.providers) {
    expect(parseAmount(paid)).toBe(sum(tasks.filter(({ provider }) => provider === address).map(({ price }) => price)))
  }
  const spent = sum(tasks.map(({ price }) => price))
  expect(parseAmount(chain.requester.free)).toBe(parseAmount('100') - spent)
  expect(sum(chain.providers.map(({ wallet }) => wallet)) + parseAmount(chain.fees)).toBe(spent)
}

test('a second start on the same state goes on from its history', { timeout: 4 * MINUTES }, async () => {
  const { summary } = await once(folder.state)
  expect(summary.ok).toBe(true)
  expect(summary.network).toMatchObject({ totalProviders: 2, totalTasks: 6 })
  checkChain(summary.chain, [...firstTasks, ...summary.tasks])
})

test('a port in use is one clear line', async () => {
  const server = createServer()
  const port = await new Promise<number>((resolve) => {
    server.listen({ host: '127.0.0.1', port: 0 }, () => resolve((server.address() as { port: number }).port))
  })
  const { output, ended } = start('--once', '--port', String(port), '--state', folder.state)
  expect(await ended).toBe(1)
  expect(output().trim().split('\n')).toHaveLength(1)
  expect(output()).toContain(`Port ${port} is in use`)
  server.close()
})

test('a state folder that is none is one clear line', async () => {
  const { output, ended } = start('--once', '--port', '0', '--state', inRoot('package.json'))
  expect(await ended).toBe(1)
  expect(output().trim().split('\n')).toHaveLength(1)
  expect(output()).toContain('cannot be used')
})

test('an interrupt stops every child', { timeout: 4 * MINUTES }, async () => {
  const { child, says, ended } = start('--port', String(await freePort()), '--state', folder.state)
  await says('Ctrl-C')
  const children = descendants(child.pid!)
  expect(children.length).toBeGreaterThanOrEqual(4)
  child.kill('SIGINT')
  expect(await ended).toBe(130)
  // The shells that wait for our end as well notice it a moment later.
  await vi.waitFor(() => expect(children.filter(({ pid, begun }) => startTime(pid) === begun)).toEqual([]))
})

/** Ids of all processes below one, with the time they began, for ids are used again. */
function descendants(parent: number): { pid: number; begun: string | undefined }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && fields(Number(name))?.[1] === String(parent))
    .flatMap((name) => {
      const pid = Number(name)
      return [{ pid, begun: startTime(pid) }, ...descendants(pid)]
    })
}

/** Undefined for a process that is gone or only waits to be buried. */
function startTime(pid: number): string | undefined {
  const all = fields(pid)
  return all?.[0] === 'Z' ? undefined : all?.[19]
}

/** The fields of /proc/PID/stat from the state on. */
function fields(pid: number): string[] | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')
  } catch {
    return undefined
  }
}
