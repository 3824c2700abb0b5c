/** container.run in its containers, by programs that do good work and programs that do their worst. The image is empty: what is run is Node. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'
import { type ContainedRun, containerArguments, findImage, proveContainer, runContained } from '#agent/container.ts'
import type { ProgramOutput } from '#agent/program-output.ts'
import { toRunnerError } from '#agent/runner.ts'
import { createContainerRunner, createPlaces } from '#agent/runners/container-run.ts'

const run = promisify(execFile)
const signal = AbortSignal.timeout(120_000)
const name = `localhost/daicn-empty-${randomUUID().slice(0, 8)}`
const bounds = { folderBytes: 2 ** 24, memoryBytes: 2 ** 26, outputBytes: 65_536, seconds: 20, signal }

/** Makes the image, and proves a container of it. */
async function prepare() {
  const tar = join(await mkdtemp(join(tmpdir(), 'image-')), 'image.tar')
  await run('tar', ['-cf', tar, '--mode=755', '-C', await mkdtemp(join(tmpdir(), 'empty-')), '.'])
  await run('podman', ['import', tar, `${name}:1`])
  const { stdout } = await run('podman', ['image', 'inspect', '--format', '{{.Digest}}', `${name}:1`])
  const digest = stdout.trim()
  const image = await findImage(`${name}@${digest}`)
  await proveContainer(image, bounds, 1, undefined)
  return { digest, image }
}
const ready = await prepare().catch((error: Error) => {
  const { message, mend = 'install podman' } = toRunnerError(error)
  console.log(`containers are not tested here: ${message}; to mend: ${mend}`)
})
afterAll(async () => {
  await run('podman', ['rmi', '--force', `${name}:1`]).catch(() => {})
})

const given: ContainedRun = {
  ...bounds,
  image: { engine: 'podman', reference: `${name}@sha256:${'0'.repeat(64)}`, entrypoint: [], command: [] },
  code: '',
  input: [],
  cores: 1,
  gpu: undefined,
}
const here = { uid: 1000, node: '/opt/node', libraries: ['/lib/libc.so.6', '/lib64/ld-linux-x86-64.so.2'] }

test('a container is asked for without network, rights, or anything of this machine', () => {
  const words = containerArguments(given, 'one', here)
  const line = words.join(' ')
  for (const word of ['--network=none', '--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges'])
    expect(words).toContain(word)
  expect(line).toMatch(/ --user 65534:65534 /)
  expect(line).toMatch(/ --pids-limit \d+ /)
  expect(line).not.toMatch(/privileged|\.sock|--volume| -v |uidmap|--device|--gpus|=host/i)
  const seen = words.filter((word) => word.startsWith('type=bind'))
  expect(seen.every((mount) => mount.endsWith(',readonly'))).toBe(true)
  expect(seen.map((mount) => /source=([^,]+)/.exec(mount)?.[1])).toEqual([here.node, ...here.libraries])
  expect(words.slice(words.indexOf('--entrypoint'))).toEqual(
    [
      '--entrypoint',
      '/daicn/ld-linux-x86-64.so.2',
      given.image.reference,
      '--library-path',
      '/daicn',
      '/daicn/node',
    ].concat(['--no-warnings', '--input-type=module', '--eval', '']),
  )
})

test('under root it has users of its own, and a card is passed by its uuid', () => {
  const wordsOf = (changes: Partial<ContainedRun>, uid = 1000) =>
    containerArguments({ ...given, ...changes }, 'one', { ...here, uid }).join(' ')
  expect(wordsOf({}, 0)).toMatch(/--uidmap 0:\d{7,}:65536 --gidmap 0:\d{7,}:65536/)
  expect(wordsOf({ gpu: 'GPU-1' })).toContain('--device nvidia.com/gpu=GPU-1')
  const docker = wordsOf({ gpu: 'GPU-1', image: { ...given.image, engine: 'docker' } }, 0)
  expect(docker).toContain('--gpus device=GPU-1')
  expect(docker).not.toMatch(/uidmap|read-only-tmpfs|--timeout/)
})

test('without an engine, or without the image, the work is refused, with the reason and how to mend it', async () => {
  const path = process.env.PATH
  process.env.PATH = '/nowhere'
  const none = await findImage(given.image.reference).catch(toRunnerError)
  process.env.PATH = path
  expect(none).toMatchObject({ code: 'no_sandbox', mend: expect.stringMatching(/./) })
  const image = { name: 'localhost/daicn-none', digest: `sha256:${'1'.repeat(64)}` }
  const runner = createContainerRunner('container.run', image, createPlaces([undefined]), 1)
  await expect(runner.load(signal)).rejects.toMatchObject({ code: 'no_sandbox', mend: expect.stringMatching(/./) })
})

test('places are given in order, each to one at a time', async () => {
  const places = createPlaces(['a', 'b'])
  const held: string[] = []
  const ends: (() => void)[] = []
  const works = [1, 2, 3].map((i) =>
    places(async (place) => {
      held.push(`${i}${place}`)
      await new Promise<void>((resolve) => ends.push(resolve))
      if (i === 1) throw new Error('failed')
    }),
  )
  const ended = Promise.allSettled(works)
  expect(held).toEqual(['1a', '2b'])
  ends[0]!()
  await works[0]!.catch(() => {})
  expect(held).toEqual(['1a', '2b', '3a'])
  for (const end of ends.slice(1)) end()
  expect((await ended).map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled'])
})

describe.skipIf(!ready).concurrent('programs', () => {
  const { digest = '', image = given.image } = ready ?? {}
  const runner = createContainerRunner('container.run', { name, digest }, createPlaces([undefined, undefined]), 2)
  const loaded = ready && runner.load(signal)
  const loader = ['--library-path', '/daicn', '/daicn/node', '--no-warnings', '--input-type=module', '--eval']

  async function program(code: string, { files = {}, outputs = [] as string[], seconds = 20, stdin = '' } = {}) {
    await loaded
    const ld = process.report.getReport() as unknown as { sharedObjects: string[] }
    const start = `/daicn/${basename(ld.sharedObjects.find((path) => /\/ld-/.test(path))!)}`
    const input = { args: [start, ...loader, code], stdin: Buffer.from(stdin), files, outputs, seconds }
    const { output, devices } = await runner.run(input, { signal, onDelta: () => {}, maxUnits: seconds })
    expect(devices).toEqual(['CPU'])
    const { exitCode, stdout, files: left } = output as ProgramOutput
    return { exitCode, stdout: Buffer.from(stdout, 'base64').toString(), files: left }
  }
  const breakOut = (code: string, changes: Partial<ContainedRun> = {}) =>
    runContained({ ...given, image, code, ...changes })

  test('files and standard input go in, files and an exit code come out, and no link is followed', async () => {
    const code = `
      import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
      writeFileSync('out.txt', readFileSync('in.txt', 'utf8') + readFileSync(0, 'utf8'))
      symlinkSync('/proc/1/environ', 'link')
      process.exit(7)`
    const parts = {
      files: { 'in.txt': Buffer.from('an open ') },
      stdin: 'market',
      outputs: ['out.txt', 'link', 'none'],
    }
    const { exitCode, files } = await program(code, parts)
    expect(exitCode).toBe(7)
    expect(files).toEqual({ 'out.txt': Buffer.from('an open market').toString('base64') })
  })

  test('what the image has no program for is the requester’s mistake', async () => {
    await loaded
    const input = { args: ['/none'], stdin: Buffer.of(), files: {}, outputs: [], seconds: 5 }
    const outcome = runner.run(input, { signal, onDelta: () => {}, maxUnits: 5 })
    await expect(outcome).rejects.toMatchObject({ code: 'invalid_input' })
  })

  test('it sees no secret of ours, reaches nobody, and writes to its folder alone', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as { port: number }
    const { stdout } = await program(`
      import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
      import { connect } from 'node:net'
      const codeOf = (attempt) => { try { attempt(); return null } catch (error) { return error.code } }
      const reach = ([host, port]) => new Promise((resolve) => {
        const socket = connect({ host, port, timeout: 1000 })
        socket.on('connect', () => resolve('connected'))
        socket.on('timeout', () => resolve('timeout'))
        socket.on('error', (error) => resolve(error.code))
      })
      const hidden = ['/root', '/home', ${JSON.stringify(process.cwd())}, '/etc/shadow', '/proc/1/root/etc/shadow', '/var/run/docker.sock', '/run/podman/podman.sock']
      console.log(JSON.stringify({
        seen: hidden.filter((path) => existsSync(path)),
        mounted: readFileSync('/proc/self/mounts', 'utf8').split('\\n').filter((line) => / \\/(work|daicn)/.test(line) === false && /^\\/dev\\/\\S+ \\S+ \\S+ rw/.test(line)),
        environment: Object.keys(process.env).filter((name) => /DAICN|KEY|TOKEN/.test(name)),
        reached: await Promise.all([['127.0.0.1', ${port}], ['169.254.169.254', 80], ['192.0.2.1', 443]].map(reach)),
        wrote: [
          codeOf(() => writeFileSync('/x', '')), codeOf(() => mkdirSync('/etc/x')), codeOf(() => writeFileSync('/daicn/node', '')),
          codeOf(() => writeFileSync('/dev/x', '')), codeOf(() => writeFileSync('/proc/sysrq-trigger', 'b')),
          codeOf(() => writeFileSync('/sys/fs/cgroup/cgroup.procs', '1')),
          codeOf(() => { symlinkSync('/daicn', 'lib'); writeFileSync('lib/x', '') }),
          codeOf(() => process.kill(1, 'SIGKILL') && null) ?? 'alive',
        ],
      }))`)
    server.close()
    const facts = JSON.parse(stdout)
    expect(facts).toMatchObject({ seen: [], mounted: [], environment: [] })
    for (const answer of facts.reached)
      expect(answer).toMatch(/^(ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|EADDRNOTAVAIL)$/)
    expect(facts.wrote).not.toContain(null)
  })

  test('what has no end is ended by its time', async () => {
    expect(await program('for (;;) {}', { seconds: 1 })).toMatchObject({ exitCode: 124 })
  })

  test('giant output is an error, and fills no disk', async () => {
    const flood = `import { writeFileSync } from 'node:fs'; writeFileSync('big', Buffer.alloc(2 ** 20))`
    await expect(program(flood, { outputs: ['big'] })).rejects.toMatchObject({ code: 'output_too_large' })
    const { code, output } = await breakOut(`
      import { writeSync } from 'node:fs'
      for (;;) try { writeSync(1, 'x'.repeat(4096)) } catch {}`)
    expect(code).toBeNull()
    expect(output.length).toBeLessThanOrEqual(65_536)
    const full = await breakOut(`
      import { writeFileSync } from 'node:fs'
      try { writeFileSync('/work/big', Buffer.alloc(2 ** 25)) } catch (error) { console.log(error.code) }`)
    expect(full.output).toMatch(/^(ENOSPC|EFBIG)$/m)
  })

  test('a fork bomb is bounded and dies with its time', async () => {
    const mark = randomUUID()
    const bomb = `
      import { spawn } from 'node:child_process'
      console.log('[]')
      setInterval(() => { for (let i = 0; i < 20; i++) spawn('/proc/self/exe', ['--library-path', '/daicn', '/daicn/node', '-e', 'setInterval(() => {}, 1) // ${mark}'], { detached: true }).on('error', () => {}) }, 10)`
    expect(await breakOut(bomb, { seconds: 1 })).toMatchObject({ isTimeOver: true })
    const left = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
    const commands = await Promise.all(left.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
    expect(commands.filter((command) => command.includes(mark))).toEqual([])
  })

  test('a memory bomb ends itself', async () => {
    const bomb = `console.log('[]'); const kept = []; for (;;) kept.push(Buffer.alloc(2 ** 26, 1))`
    // A slow machine takes a while to fill its memory.
    const { isTimeOver, code } = await breakOut(bomb, { seconds: 60 })
    expect(isTimeOver).toBe(false)
    expect(code).not.toBe(0)
  }, 90_000)

  test('where the engine makes no container, its own reason is given', async () => {
    const proving = proveContainer(given.image, bounds, 1, undefined).catch(toRunnerError)
    expect(await proving).toMatchObject({ code: 'no_sandbox', message: expect.stringMatching(/image: .*image/i) })
  })

  test('one that is stopped leaves nothing', async () => {
    const stopping = new AbortController()
    const input = { args: ['/none'], stdin: Buffer.of(), files: {}, outputs: [], seconds: 5 }
    await loaded
    const outcome = runner.run(input, { signal: stopping.signal, onDelta: () => {}, maxUnits: 5 })
    stopping.abort()
    await expect(outcome).rejects.toThrow()
  })
})
