/** Three pieces of real work through the public API, told as they come. */
import { readFile } from 'node:fs/promises'
import { seconds, type Terminal } from '../client/cli/terminal.ts'
import type { TaskView } from '../core/protocol/task.ts'
import type { Kind } from '../core/protocol/work.ts'
import type { Agent } from './agents.ts'
import { inRoot } from './paths.ts'
import type { Requester } from './requester.ts'

export type Done = {
  id: string
  kind: Kind
  status: string
  provider: string | null
  price: string | null
  ms: number | null
  output: unknown
}

const SENTENCES = [
  'A small boat crosses the bay at dawn.',
  'At sunrise a little ship sails over the harbour.',
  'The committee approved the annual budget.',
] as const
const PAGE = 'scripts/demo/page.png'
const PROMPT = 'What is the night?'
const CHAT_TOKENS = 72

type Stage = { out: Terminal; requester: Requester; agents: Agent[] }

/** Runs the three; one that cannot run or fails is told and does not stop the others. */
export async function runShowcase(stage: Stage): Promise<Done[]> {
  return [
    await attempt(stage, 'text.embed', 'Which sentences mean the same?', embed),
    await attempt(stage, 'doc.ocr', 'What does the page say?', ocr),
    await attempt(stage, 'llm.chat', 'A chat, as it is written', chat),
  ]
}

async function attempt(
  stage: Stage,
  kind: Kind,
  title: string,
  run: (stage: Stage) => Promise<TaskView>,
): Promise<Done> {
  const { out } = stage
  out.heading(`${title}  ${out.faint(kind)}`)
  try {
    const task = await run(stage)
    const { id, status, provider, price, createdAt, finishedAt } = task
    const ms = finishedAt === undefined ? null : finishedAt - createdAt
    if (status !== 'succeeded') out.warning(`The task ${status}.`, task.error?.message ?? '')
    out.item('provider', `${nameOf(stage, provider)}  ${out.faint(provider ?? '')}`)
    out.item('time', ms === null ? 'unknown' : seconds(ms))
    out.item('price', `${price ?? '0'} tokens`)
    return { id, kind, status, provider: provider ?? null, price: price ?? null, ms, output: task.output ?? null }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    out.warning(`It did not run: ${message}`, '')
    return { id: '', kind, status: 'failed', provider: null, price: null, ms: null, output: { error: message } }
  }
}

async function embed({ out, requester }: Stage): Promise<TaskView> {
  const task = await requester.daicn.run({ kind: 'text.embed', input: { texts: [...SENTENCES] } })
  const [a, b, c] = task.output.embeddings
  for (const sentence of SENTENCES) out.item(`sentence ${SENTENCES.indexOf(sentence) + 1}`, sentence)
  if (a && b && c) {
    const pairs = [`1 and 2  ${bar(out, a, b)}`, `1 and 3  ${bar(out, a, c)}`, `2 and 3  ${bar(out, b, c)}`]
    out.item('similarity', pairs.join(`\n${out.indent}`))
  }
  return task
}

async function ocr({ out, requester }: Stage): Promise<TaskView> {
  const image = (await readFile(inRoot(PAGE))).toString('base64')
  const task = await requester.daicn.run({ kind: 'doc.ocr', input: { image, mediaType: 'image/png' } })
  out.item('page', PAGE)
  out.item('text', task.output.text.trim().split('\n').join(`\n${out.indent}`))
  return task
}

async function chat({ out, requester, agents }: Stage): Promise<TaskView> {
  const model = chatModel(agents)
  out.item('model', model)
  out.item('prompt', PROMPT)
  const input = { messages: [{ role: 'user' as const, content: PROMPT }], max_tokens: CHAT_TOKENS }
  out.begin('answer')
  const write = wrapped(out)
  for await (const event of requester.daicn.stream({ kind: 'llm.chat', model, input })) {
    if (event.type === 'output') write(event.delta)
    if (event.type !== 'done') continue
    out.piece('\n')
    return event.task
  }
  throw new Error('the stream ended before the task')
}

/** A model that its owner serves on this machine goes before the tiny one that we bring. */
function chatModel(agents: Agent[]): string {
  const models = agents.flatMap(({ offerings }) => offerings.filter(({ kind }) => kind === 'llm.chat'))
  const own = models.find(({ model }) => !model.includes('daicn-tiny'))
  const chosen = own ?? models[0]
  if (!chosen) throw new Error('no agent offers llm.chat')
  return chosen.model
}

function nameOf({ agents }: Stage, address: string | undefined): string {
  return agents.find((agent) => agent.address.toLowerCase() === address)?.name ?? 'another provider'
}

function bar(out: Terminal, a: number[], b: number[]): string {
  const similarity = cosine(a, b)
  return `${similarity.toFixed(2)}  ${out.bar(similarity, 20)}`
}

function cosine(a: number[], b: number[]): number {
  const dot = (x: number[], y: number[]) => x.reduce((sum, value, i) => sum + value * (y[i] ?? 0), 0)
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
}

/** Writes pieces of text as they come, its lines kept within the terminal and below each other. */
function wrapped(out: Terminal): (text: string) => void {
  let column = out.indent.length
  return (text) => {
    for (const character of text) {
      if (character === '\n' || column >= out.width) {
        out.piece(`\n${out.indent}`)
        column = out.indent.length
      }
      if (character === '\n') continue
      out.piece(character)
      column++
    }
  }
}
