/** `daicn run`, `quote` and `cancel`. */
import { readFile, writeFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import type { NewAssurance } from '#core/assurance.ts'
import { imageSize, type MediaType } from '#core/image-size.ts'
import type { Preference, Quote } from '#core/protocol/quote.ts'
import type { TaskView } from '#core/protocol/task.ts'
import { LIMITS } from '#core/protocol/values.ts'
import type { Kind } from '#core/protocol/work.ts'
import type { Daicn } from '../daicn.ts'
import { unsuccessful } from '../error.ts'
import type { Done, NewTask, Task } from '../task.ts'
import { type Cli, open, print, UsageError } from './cli.ts'
import { seconds } from './terminal.ts'

/** Room in an input for all that is not the image. */
const MARGIN_BYTES = 1024

/** `none`, `spot`, or `quorum:K/N`: K of at most N results agree. @throws UsageError */
export function assuranceOf(text: string): NewAssurance {
  if (text === 'none' || text === 'spot') return { level: text }
  const [, k, n] = /^quorum:(\d)\/(\d)$/.exec(text) ?? []
  if (k !== undefined) return { level: 'quorum', k: Number(k), n: Number(n) }
  throw new UsageError(`"${text}" is no level of assurance`, 'Write none, spot, or quorum:2/3.')
}

export type RunOptions = {
  kind: Kind
  model?: string
  maxPrice?: string
  deadline?: number
  preference?: Preference
  assurance?: NewAssurance
  maxTokens?: number
  temperature?: number
  system?: string
  out?: string
}

export async function run(cli: Cli, input: string[], options: RunOptions): Promise<void> {
  const { kind, out } = options
  if (kind === 'image.upscale' && out === undefined && !cli.json)
    throw new UsageError(
      'There is no file to write the image to',
      'As in: daicn run --kind image.upscale photo.png --out large.png',
    )
  const daicn = await open(cli)
  const task = await taskOf(cli, daicn, input, options)
  // What is compared with other results is not delivered before it was.
  if (task.kind === 'llm.chat' && !cli.json && !isCompared(task)) return chat(cli, daicn, task)
  const stopSpinner = cli.err.spin(task.kind)
  const done = await daicn.run(task, { signal: cli.signal }).finally(stopSpinner)
  if (done.kind === 'image.upscale' && out !== undefined) await writeFile(out, Buffer.from(done.output.image, 'base64'))
  cli.err.done(task.kind, summary(done))
  print(cli, done, () => cli.out.text(shown(done)))
}

export async function quote(cli: Cli, input: string[], options: RunOptions): Promise<void> {
  const daicn = await open(cli)
  const told = await daicn.quote(await taskOf(cli, daicn, input, options), { signal: cli.signal })
  print(cli, told, () => {
    const { price, wait, candidates, assurance, explanation } = told
    const most = `at most ${price.ceiling} tokens`
    cli.out.item('price', price.expected === null ? most : `about ${price.expected} tokens, ${most}`)
    cli.out.item('wait', waitTold(wait))
    cli.out.item(
      'providers',
      candidates === 0 ? 'none' : `${candidates}, with ${wait.free} of ${wait.slots} slots free`,
    )
    if (assurance) {
      const { detection, results } = assurance
      const caught = `a wrong result is caught in ${Math.round(detection * 100)} of 100`
      cli.out.item('assurance', `${caught}, by ${results.least} to ${results.most} results`)
    }
    cli.out.note(explanation)
  })
}

const isCompared = ({ assurance }: NewTask): boolean => assurance !== undefined && assurance.level !== 'none'

function waitTold({ p50Ms, p90Ms }: Quote['wait']): string {
  if (p50Ms === null) return 'unknown'
  return p90Ms === null ? seconds(p50Ms) : `${seconds(p50Ms)}, nine times in ten under ${seconds(p90Ms)}`
}

/** The text as it is written. */
async function chat(cli: Cli, daicn: Daicn, task: NewTask<'llm.chat'>): Promise<void> {
  let end = ''
  for await (const event of daicn.stream(task, { signal: cli.signal })) {
    if (event.type === 'output') {
      cli.out.text(event.delta)
      end = event.delta.at(-1) ?? end
    }
    if (event.type !== 'done') continue
    if (end !== '\n') process.stdout.write('\n')
    if (event.task.status !== 'succeeded') throw unsuccessful(event.task)
    cli.err.done(task.kind, summary(event.task))
  }
}

/** What people read of an output, as plain text that can be piped on. */
export function shown(task: Done): string {
  switch (task.kind) {
    case 'llm.chat':
      return `${task.output.content ?? JSON.stringify(task.output)}\n`
    case 'doc.ocr':
      return `${task.output.text.trimEnd()}\n`
    case 'image.upscale':
      return `A PNG of ${task.output.width} x ${task.output.height} pixels.\n`
    case 'text.embed':
      return task.output.embeddings.map((embedding) => `${JSON.stringify(embedding)}\n`).join('')
    case 'wasi.run':
    case 'container.run':
    case 'gpu.exec':
      return Buffer.from(task.output.stdout, 'base64').toString()
  }
}

function summary({ provider, price, createdAt, finishedAt }: Task | TaskView): string {
  return [short(provider ?? ''), `${price ?? '0'} tokens`, seconds((finishedAt ?? createdAt) - createdAt)].join('  ')
}

const short = (address: string) => `${address.slice(0, 8)}…${address.slice(-6)}`

/** The task that a command line describes. */
async function taskOf(cli: Cli, daicn: Daicn, input: string[], options: RunOptions): Promise<NewTask> {
  const { model, maxPrice, deadline, preference, assurance } = options
  const common = {
    ...(model !== undefined && { model }),
    ...(maxPrice !== undefined && { maxPrice }),
    ...(deadline !== undefined && { deadlineSeconds: deadline }),
    ...(preference !== undefined && { preference }),
    ...(assurance !== undefined && { assurance }),
  }
  switch (options.kind) {
    case 'llm.chat': {
      const { maxTokens, temperature, system } = options
      const content = await textOf(input, ' ')
      const messages: NewTask<'llm.chat'>['input']['messages'] = [{ role: 'user', content }]
      if (system !== undefined) messages.unshift({ role: 'system', content: system })
      const sampling = {
        ...(maxTokens !== undefined && { max_tokens: maxTokens }),
        ...(temperature !== undefined && { temperature }),
      }
      return { ...common, kind: 'llm.chat', input: { messages, ...sampling } }
    }
    case 'text.embed': {
      const texts = (await textOf(input, '\n')).split('\n').filter((line) => line !== '')
      return { ...common, kind: 'text.embed', input: { texts } }
    }
    case 'doc.ocr':
      return { ...common, kind: 'doc.ocr', input: await pageOf(cli, daicn, input) }
    case 'image.upscale': {
      const { bytes, mediaType } = await imageOf(options.kind, input)
      return { ...common, kind: 'image.upscale', input: { image: bytes.toString('base64'), mediaType } }
    }
    case 'wasi.run':
      return { ...common, kind: 'wasi.run', input: await programOf(cli, daicn, input) }
    case 'container.run':
    case 'gpu.exec':
      return { ...common, kind: options.kind, input: { args: input } }
  }
}

async function textOf(input: string[], between: string): Promise<string> {
  const given = input.length > 0 && input[0] !== '-' ? input.join(between) : await fromStdin()
  if (given.trim() !== '') return given
  throw new UsageError('There is no text', 'Write it after the options, or pipe it in.')
}

async function fromStdin(): Promise<string> {
  return process.stdin.isTTY ? '' : text(process.stdin)
}

async function pageOf({ signal }: Cli, daicn: Daicn, input: string[]): Promise<NewTask<'doc.ocr'>['input']> {
  const { bytes, mediaType } = await imageOf('doc.ocr', input)
  const image = bytes.toString('base64')
  if (image.length < LIMITS.inputBytes - MARGIN_BYTES) return { image, mediaType }
  const { sha256 } = await daicn.upload(bytes, { signal })
  return { image: { sha256 }, mediaType }
}

async function imageOf(kind: Kind, [file, ...more]: string[]): Promise<{ bytes: Buffer; mediaType: MediaType }> {
  if (file === undefined || more.length > 0)
    throw new UsageError(`${kind} takes one image at a time`, `As in: daicn run --kind ${kind} image.png`)
  const bytes = await readFile(file)
  const { mediaType } = imageSize(bytes) ?? {}
  if (!mediaType) throw new UsageError(`${file} is neither PNG nor JPEG`, 'Convert it to one of the two.')
  return { bytes, mediaType }
}

async function programOf(
  { signal }: Cli,
  daicn: Daicn,
  [file, ...args]: string[],
): Promise<NewTask<'wasi.run'>['input']> {
  if (file === undefined)
    throw new UsageError('There is no program', 'As in: daicn run --kind wasi.run program.wasm word')
  const { sha256 } = await daicn.upload(await readFile(file), { signal })
  return { module: { sha256 }, args }
}

export async function cancel(cli: Cli, id: string): Promise<void> {
  const task = await (await open(cli)).cancel(id, { signal: cli.signal })
  print(cli, task, () =>
    cli.out.line(task.status === 'cancelled' ? `Cancelled ${id}.` : `${id} has ${task.status} before.`),
  )
}
