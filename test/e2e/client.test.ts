/** The command line as a child process, the SDK and the examples of the docs, on one network with a real agent. */
import { chmod, copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, type Daicn } from '../../client/daicn.ts'
import type { NewTask } from '../../client/task.ts'
import { inRoot } from '../../scripts/paths.ts'
import { startAgentProcess } from '../support/agent-process.ts'
import { asPattern, blocksOf, DAICN, daicn, type Surroundings, start } from '../support/command.ts'
import { createWorld, type World } from '../support/fault-world.ts'
import { eventually } from '../support/ledger.ts'
import { largePage } from '../support/real-work.ts'

/** Less than anybody works for, so that a task waits. */
const TOO_LITTLE = '0.000000001'
const EMBEDDER = 'universal-sentence-encoder'
const FIRST_LINE = 'An open market for AI compute'

let world: World
let where: Surroundings
let mine: Daicn

beforeAll(async () => {
  world = await createWorld()
  const cwd = join(world.folder, 'home')
  await mkdir(cwd)
  await copyFile(inRoot('scripts/demo/page.png'), join(cwd, 'page.png'))
  await copyFile(inRoot('node_modules/@upscalerjs/default-model/assets/fixture.png'), join(cwd, 'photo.png'))
  const env = { XDG_CONFIG_HOME: join(cwd, 'config'), DAICN_EDGE: undefined, DAICN_KEY: undefined }
  where = { cwd, env }
  await startAgentProcess(world, 'all', ['text.embed', 'doc.ocr', 'image.upscale', 'llm.chat'])
})
afterAll(() => world?.end())

const run = (...args: string[]) => daicn(args, where)

/** What a command printed with --json, which must be that alone. */
async function json(args: string[], input?: string): Promise<{ code: number; value: unknown }> {
  const { code, stdout } = await daicn([...args, '--json'], where, input)
  expect(stdout.trimEnd().split('\n')).toHaveLength(1)
  return { code, value: JSON.parse(stdout) }
}

test('who is not logged in is told how to, with an exit code of its own', async () => {
  const { code, stdout, stderr } = await run('whoami')
  expect({ code, stdout }).toEqual({ code: 3, stdout: '' })
  expect(stderr).toContain('daicn login --edge URL')
})

test('a login keeps a key and an API key that only their owner can read', async () => {
  const { code, value } = await json(['login', '--edge', world.url])
  expect(code).toBe(0)
  expect(value).toMatchObject({ edge: world.url, address: expect.stringMatching(/^0x/), free: '100' })
  for (const name of ['key', 'login.json']) {
    const file = join(where.env.XDG_CONFIG_HOME!, 'daicn', name)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  }
  const { key } = JSON.parse(await readFile(join(where.env.XDG_CONFIG_HOME!, 'daicn', 'login.json'), 'utf8'))
  mine = connect({ edge: world.url, key })
  expect(await mine.account()).toMatchObject({ address: (value as { address: string }).address })
})

test('a page is read, also one that is too large for an input', async () => {
  const { code, stdout } = await run('run', '--kind', 'doc.ocr', 'page.png')
  expect({ code, first: stdout.split('\n')[0] }).toEqual({ code: 0, first: FIRST_LINE })
  await writeFile(join(where.cwd, 'large.png'), await largePage())
  const large = await json(['run', '--kind', 'doc.ocr', 'large.png'])
  expect(large).toMatchObject({ code: 0, value: { status: 'succeeded' } })
  expect((large.value as { output: { text: string } }).output.text).toContain(FIRST_LINE)
})

test('a chat is printed as its text alone, which is what its task says', async () => {
  const { code, stdout, stderr } = await run('run', '--kind', 'llm.chat', 'What is the night?', '--max-tokens', '20')
  expect(code).toBe(0)
  const { latest } = await mine.network()
  const task = await mine.task(latest[0]!.id)
  expect(task).toMatchObject({ kind: 'llm.chat', status: 'succeeded' })
  expect(stdout.trimEnd()).toBe((task.output as { content: string }).content.trimEnd())
  expect(stderr).toContain(`${task.price} tokens`)
  const watched = await run('watch', task.id)
  expect(watched).toMatchObject({ code: 0, stdout })
})

test('a sealed chat is read by its provider alone: the edge has neither what was asked nor what was said', async () => {
  const { address } = world.providers[0]!
  const question = 'What is the night? SEALED-MARK'
  const chat: NewTask<'llm.chat'> = {
    kind: 'llm.chat',
    input: { messages: [{ role: 'user', content: question }], max_tokens: 20 },
  }
  const task = await mine.runSealed(address, chat)
  expect(task).toMatchObject({ status: 'succeeded', provider: address, usage: { outputTokens: expect.any(Number) } })
  expect(task.output.finishReason).toMatch(/^(stop|length)$/)
  const told = (await mine.task(task.id)).output as { content: string }
  expect(told.content).toMatch(/^[A-Za-z0-9+/]+=*$/)
  expect(told.content).not.toBe(task.output.content)
  const files = await readdir(join(world.folder), { recursive: true, withFileTypes: true })
  const contents = await Promise.all(
    files.filter((file) => file.isFile()).map(({ parentPath, name }) => readFile(join(parentPath, name))),
  )
  const holds = (text: string) => contents.some((content) => content.includes(text))
  expect(holds(task.id)).toBe(true)
  expect([holds('SEALED-MARK'), holds(JSON.stringify(task.output.content))]).toEqual([false, false])
  await expect(mine.runSealed(`0x${'ab'.repeat(20)}`, chat)).rejects.toMatchObject({ code: 'provider_not_found' })
})

test('texts are also read from standard input', async () => {
  const { code, value } = await json(['run', '--kind', 'text.embed'], 'one\ntwo\n')
  expect(code).toBe(0)
  expect((value as { output: { embeddings: number[][] } }).output.embeddings).toHaveLength(2)
})

test('a quote says what an assurance takes', async () => {
  const { code, value } = await json(['quote', '--kind', 'text.embed', 'a boat', '--assurance', 'quorum:2/3'])
  expect({ code, value }).toMatchObject({ code: 0, value: { assurance: { results: { least: 2, most: 3 } } } })
  const { stdout } = await run('quote', '--kind', 'text.embed', 'a boat', '--assurance', 'spot')
  expect(stdout).toMatch(/assurance +a wrong result is caught in \d+ of 100, by 1 to 3 results/)
})

test('a receipt verifies without a network, and fails by the field that was changed', async () => {
  const { value } = await json(['run', '--kind', 'text.embed', 'a boat at dawn'])
  const task = value as { id: string; price: string; provider: string; output: { embeddings: number[][] } }
  await writeFile(join(where.cwd, 'task.json'), JSON.stringify(task))
  const reasons = await run('why', task.id)
  expect([reasons.code, reasons.stdout]).toEqual([0, expect.stringMatching(/attempt 1[\s\S]+chosen/)])
  expect(reasons.stdout).toContain(task.provider)
  const { code, stdout } = await run('receipt', task.id)
  expect(code).toBe(0)
  const receipt = JSON.parse(stdout)
  expect(receipt).toMatchObject({ task: task.id, price: task.price, provider: task.provider })
  await writeFile(join(where.cwd, 'receipt.json'), stdout)
  const alone = { ...where, env: { ...where.env, DAICN_EDGE: 'http://127.0.0.1:9' } }
  const verified = await daicn(['verify', 'receipt.json', '--output', 'task.json'], alone)
  expect(verified.code).toBe(0)
  expect(verified.stdout).toContain(`${task.price} tokens`)
  expect(verified.stdout.match(/✓/g)).toHaveLength(5)

  await writeFile(join(where.cwd, 'forged.json'), JSON.stringify({ ...receipt, units: receipt.units + 1 }))
  const forged = await daicn(['verify', 'forged.json'], alone)
  expect(forged.code).toBe(1)
  expect(forged.stderr).toContain('The receipt does not verify: signature, edge.signature')
  await writeFile(join(where.cwd, 'other.json'), JSON.stringify({ embeddings: [[1, 2]] }))
  const other = await daicn(['verify', 'receipt.json', '--output', 'other.json', '--json'], alone)
  expect(other.code).toBe(1)
  expect(JSON.parse(other.stdout)).toMatchObject({ error: { code: 'receipt_not_verified', checks: expect.any(Array) } })
})

test.each([
  ['an unknown command', ['fly'], 2, 'usage'],
  ['a missing option', ['run', 'hello'], 2, 'usage'],
  ['an amount that is none', ['run', '--kind', 'llm.chat', 'hi', '--max-price', 'much'], 2, 'usage'],
  ['an assurance that is none', ['quote', '--kind', 'text.embed', 'hi', '--assurance', 'half'], 2, 'usage'],
  ['a file that is no image', ['run', '--kind', 'doc.ocr', DAICN], 2, 'usage'],
  ['a file that is not there', ['run', '--kind', 'doc.ocr', 'gone.png'], 1, 'ENOENT'],
  ['a model that nobody has', ['run', '--kind', 'llm.chat', 'hi', '--model', 'none'], 1, 'unknown_model'],
  ['more than the account holds', ['run', '--kind', 'llm.chat', 'hi', '--max-price', '1000'], 4, 'insufficient_funds'],
  ['an edge that is not there', ['models', '--edge', 'http://127.0.0.1:9'], 5, 'unreachable'],
  ['a task that is not there', ['cancel', 'c1-nothing'], 1, 'task_not_found'],
])('%s is one error with its exit code', async (_, args, exitCode, code) => {
  const told = await json(args)
  expect(told).toEqual({
    code: exitCode,
    value: { error: expect.objectContaining({ code, message: expect.stringMatching(/./) }) },
  })
})

test('Ctrl-C in the middle of a run cancels its task', async () => {
  const running = start(
    process.execPath,
    [DAICN, 'run', '--kind', 'text.embed', '--max-price', TOO_LITTLE, 'hello'],
    where,
  )
  await eventually('the task waits', 20_000, async () => ((await mine.account()).held === '0' ? undefined : true))
  running.kill('SIGINT')
  expect(await running.ended).toMatchObject({ code: 130, stdout: '' })
  const { latest } = await mine.network()
  expect(latest[0]).toMatchObject({ kind: 'text.embed', status: 'cancelled' })
  expect((await mine.account()).held).toBe('0')
})

test('a batch that was stopped goes on where it was, and each line comes back once', async () => {
  const embed = (text: string, more = {}) => JSON.stringify({ kind: 'text.embed', input: { texts: [text] }, ...more })
  const waiting = embed('wait', { maxPrice: TOO_LITTLE })
  const input = join(where.cwd, 'in.jsonl')
  const output = join(where.cwd, 'out.jsonl')
  await writeFile(input, [...Array.from({ length: 20 }, (_, i) => embed(`text ${i}`)), waiting].join('\n'))
  const lines = async () => (await readFile(output, 'utf8')).trimEnd().split('\n')
  const first = start(process.execPath, [DAICN, 'batch', input, output], where)
  await eventually('all but one have ended', 30_000, async () =>
    (await lines().catch(() => [])).length === 20 ? true : undefined,
  )
  first.kill('SIGINT')
  const stopped = await first.ended
  expect(stopped.code).toBe(130)
  expect(stopped.stderr).toContain('20 of 21')
  expect((await mine.account()).held).toBe('0')

  const second = start(process.execPath, [DAICN, 'batch', input, output, '--json'], where)
  const task = await eventually('the last is submitted again', 20_000, async () => {
    const found = (await mine.network()).latest.find(({ status }) => status === 'queued')
    return found && mine.cancel(found.id)
  })
  const { code, stdout } = await second.ended
  expect(code).toBe(1)
  expect(JSON.parse(stdout)).toEqual({ total: 21, succeeded: 20, failed: 1, output })
  const results = (await lines()).map((line) => JSON.parse(line) as { line: number; id: string })
  expect(results.map(({ line }) => line).sort((x, y) => x - y)).toEqual(Array.from({ length: 21 }, (_, i) => i + 1))
  expect(results.at(-1)).toMatchObject({ line: 21, id: task.id, status: 'cancelled' })
})

test('a mistake in the last line of a batch is met before anything is submitted', async () => {
  const { metrics } = await mine.network()
  const input = join(where.cwd, 'wrong.jsonl')
  await writeFile(input, '{"kind":"text.embed","input":{"texts":["a"]}}\n{"kind":"text.embed","input":{"texts":[]}}\n')
  const { code, stderr } = await run('batch', input, join(where.cwd, 'never.jsonl'))
  expect(code).toBe(2)
  expect(stderr).toContain('line 2')
  expect((await mine.network()).metrics.totalTasks).toBe(metrics.totalTasks)
})

test('the network is watched until Ctrl-C', async () => {
  const watching = start(process.execPath, [DAICN, 'watch', '--json'], where)
  const line = await watching.firstLine
  watching.kill('SIGINT')
  expect(JSON.parse(line)).toMatchObject({ metrics: { activeProviders: expect.any(Number) } })
  expect((await watching.ended).code).toBe(130)
})

/** A Node that did not come with the repository, whatever its version. */
const systemNode = (process.env.PATH ?? '')
  .split(delimiter)
  .filter((folder) => folder !== '' && !folder.includes('node_modules'))
  .map((folder) => join(folder, 'node'))

test('it runs by the Node of the machine too', async () => {
  const present = await Promise.all(
    systemNode.map((file) =>
      stat(file).then(
        () => file,
        () => '',
      ),
    ),
  )
  const node = present.find((file) => file !== '') ?? process.execPath
  const { code, stdout } = await start(node, [DAICN, 'models', '--json'], where).ended
  expect(code).toBe(0)
  expect((JSON.parse(stdout) as { id: string }[]).map(({ id }) => id)).toContain(EMBEDDER)
})

test('every example of docs/client.md runs and prints what the page says', { timeout: 240_000 }, async () => {
  const page = (await readFile(inRoot('docs/client.md'), 'utf8')).replaceAll('http://127.0.0.1:8787', world.url)
  const { value } = await json(['keys', 'create', 'examples'])
  const { key } = value as { key: string }
  const bin = join(where.cwd, 'bin')
  await mkdir(bin)
  await writeFile(join(bin, 'npx'), `#!/bin/sh\nshift\nexec "${process.execPath}" "${DAICN}" "$@"\n`)
  await chmod(join(bin, 'npx'), 0o755)
  const env = { ...where.env, PATH: `${bin}${delimiter}${process.env.PATH}`, DAICN_EDGE: world.url, DAICN_KEY: key }
  // Where `daicn`, `viem` and `openai` mean what they mean in the repository.
  const scratch = inRoot('dist', `examples-${process.pid}`)
  await mkdir(scratch, { recursive: true })
  try {
    const blocks = blocksOf(page)
    expect(blocks.length).toBeGreaterThan(10)
    for (const { language, code, line, prints } of blocks) {
      const file = join(scratch, `line-${line}.${language}`)
      await writeFile(file, code)
      const [program, ...args] = language === 'ts' ? [process.execPath, file] : ['bash', '-euo', 'pipefail', file]
      const ended = await start(program!, args, { ...where, env }).ended
      expect(ended, `docs/client.md:${line}`).toMatchObject({ code: 0 })
      if (prints !== undefined) expect(ended.stdout, `docs/client.md:${line}`).toMatch(asPattern(prints))
    }
  } finally {
    await rm(scratch, { recursive: true })
  }
})

test('logging out revokes the API key and keeps the Ethereum key', async () => {
  const login = JSON.parse(await readFile(join(where.env.XDG_CONFIG_HOME!, 'daicn', 'login.json'), 'utf8'))
  const { address, keyId } = login as { address: string; keyId: string }
  expect(await json(['logout'])).toMatchObject({ code: 0, value: { revoked: true } })
  expect((await run('whoami')).code).toBe(3)
  expect(await json(['login', '--edge', world.url])).toMatchObject({ value: { address } })
  const { value: keys } = await json(['keys'])
  expect((keys as { id: string }[]).map(({ id }) => id)).not.toContain(keyId)
})
