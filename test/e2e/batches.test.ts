import OpenAI, { toFile } from 'openai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { call } from '../../client/edge.ts'
import { parseAmount } from '../../core/money.ts'
import type { NetworkSnapshot } from '../../core/protocol/network.ts'
import { createWorld, newRequester, seeded, type World } from '../support/fault-world.ts'
import { booksGap, eventually, readBooks } from '../support/ledger.ts'
import { createProgress } from '../support/progress.ts'
import { startPuller } from '../support/pull-provider.ts'

/** LINES=50000 is the most that a batch may have. */
const LINES = Number(process.env.LINES ?? 1_500)
const MODEL = 'batches/pull'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.end())

type OutputLine = { custom_id: string; response: { body: { usage: { completion_tokens: number } } } }

test(
  'a batch goes on through kills of the edge: each line is answered once and charged once',
  async () => {
    const { caller } = await newRequester(world)
    const { key } = await call<{ key: string }>(caller, 'POST', '/v1/keys', { body: { name: 'batches' } })
    const openai = new OpenAI({ baseURL: `${world.url}/v1`, apiKey: key, maxRetries: 20 })
    const progress = createProgress()
    const plan = {
      offer: { kind: 'llm.chat' as const, model: MODEL },
      slots: 100,
      random: seeded(1),
      progress,
      unruly: 0,
    }
    const puller = await startPuller(world, plan)

    const lines = Array.from({ length: LINES }, (_, i) => {
      const body = { model: MODEL, messages: [{ role: 'user', content: '0' }], max_tokens: 64 }
      return JSON.stringify({ custom_id: `line-${i}`, method: 'POST', url: '/v1/chat/completions', body })
    })
    const input = await openai.files.create({ file: await toFile(Buffer.from(lines.join('\n'))), purpose: 'batch' })
    const batch = await openai.batches.create({
      input_file_id: input.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    })
    for (const part of [0.3, 0.6]) {
      await Promise.race([progress.until(() => progress.ended.size >= LINES * part), puller.failed])
      await world.crash()
    }
    const over = await eventually('the batch is over', 60_000 + LINES * 30, async () => {
      const view = await openai.batches.retrieve(batch.id)
      return view.status === 'completed' ? view : undefined
    })
    await puller.stop()
    expect(over.request_counts).toEqual({ total: LINES, completed: LINES, failed: 0 })
    expect(over.error_file_id).toBeNull()

    const text = await (await openai.files.content(over.output_file_id!)).text()
    const output = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as OutputLine)
    expect(output.map(({ custom_id }) => custom_id)).toEqual(lines.map((_, i) => `line-${i}`))
    const { metrics, status } = await call<NetworkSnapshot>({ edge: world.url }, 'GET', '/v1/network')
    expect(metrics.totalTasks).toBe(LINES)
    expect(status.succeeded).toBe(LINES)
    const books = await readBooks(world)
    expect(booksGap(books)).toEqual({ drawn: 0n, captured: 0n })
    // Eight input tokens count as two units.
    const units = output.reduce((sum, { response }) => sum + 2 + response.body.usage.completion_tokens, 0)
    expect(books).toMatchObject({ held: 0n, captured: BigInt(units) * parseAmount('0.000000123') })
    expect((await openai.files.list()).data.map(({ purpose }) => purpose).sort()).toEqual(['batch', 'batch_output'])
  },
  120_000 + LINES * 30,
)
