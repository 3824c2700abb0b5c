/**
 * Code of others in a container of an image, by podman or docker: no network, a read-only root, no capability, a user namespace of
 * its own, and bounds on memory, processes, cores, files, output and time. Nothing of this machine is in it but Node and its libraries,
 * which start what is to run; files go in and out by its standard streams. It is proved from within before anything is run in it.
 */
import { execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { basename } from 'node:path'
import { promisify } from 'node:util'
import { type Bounds, noSandbox, type SandboxedEnd, START_MS, watchSandboxed } from './sandboxed-process.ts'

export type Engine = 'podman' | 'docker'
const ENGINES: Engine[] = ['podman', 'docker']

export type Image = {
  engine: Engine
  /** `name@sha256:...`, which the engine has. */
  reference: string
  /** What it starts: its entry point, and what follows that unless a task says otherwise. */
  entrypoint: string[]
  command: string[]
}

export type ContainedRun = Bounds & {
  image: Image
  /** A module of JavaScript, which Node runs beside the image. It writes what it has to say to standard output. */
  code: string
  /** What it reads from standard input. */
  input: Uint8Array[]
  cores: number
  /** A card of NVIDIA's, by its uuid. */
  gpu: string | undefined
}

/** What Node itself takes beside what its program may. */
const NODE_BYTES = 512 * 1024 ** 2
const PROCESSES = 512
const OPEN_FILES = 1024
/** Nobody's, on whichever machine. */
const USER = '65534:65534'
/** Under root, as whom root in a container would be: users that no machine has. */
const FOREIGN_IDS = '0:2000000000:65536'
const LOOK_MS = 10_000
const run = promisify(execFile)

export function runContained(contained: ContainedRun): Promise<SandboxedEnd> {
  const { image, input } = contained
  const name = `daicn-${randomUUID()}`
  const child = spawn(image.engine, containerArguments(contained, name, hereOf()), {
    stdio: 'pipe',
    // podman leaves an empty file where it is when memory runs out.
    cwd: tmpdir(),
  })
  // It may end before it has read all.
  child.stdin.on('error', () => {})
  for (const part of input) child.stdin.write(part)
  child.stdin.end()
  let isEnding = false
  const tell = (...words: string[]) => run(image.engine, words, { timeout: LOOK_MS }).catch(() => undefined)
  const kill = () => {
    // Where there is no container yet, the engine's own process is ended, and then what it may have begun.
    if (isEnding) return
    isEnding = true
    void tell('kill', name).then((killed) => {
      if (!killed) child.once('close', () => void tell('rm', '--force', name)).kill('SIGKILL')
    })
  }
  return watchSandboxed(child, contained, kill)
}

/** What of this machine a container is given to start with. */
export type Here = { uid: number; node: string; libraries: string[] }

function hereOf(): Here {
  const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: string[] }
  const libraries = sharedObjects.filter((path) => /^\/.*\.so[.\d]*$/.test(path))
  return { uid: process.getuid!(), node: process.execPath, libraries }
}

export function containerArguments(contained: ContainedRun, name: string, { uid, node, libraries }: Here): string[] {
  const { image, code, folderBytes, memoryBytes, cores, seconds, gpu } = contained
  const isPodman = image.engine === 'podman'
  const bytes = String(NODE_BYTES + memoryBytes + folderBytes)
  const isLoader = (path: string) => /^ld-/.test(basename(path))
  const seen = (path: string) => `/daicn/${basename(path)}`
  // An image has libraries of its own, or none: Node is started by the loader that it came with.
  const [start = seen(node), ...rest] = libraries.some(isLoader)
    ? [seen(libraries.find(isLoader)!), '--library-path', '/daicn', seen(node)]
    : []
  return [
    ...['run', '--rm', '--interactive', '--pull=never', '--name', name, '--hostname', 'sandbox', '--log-driver=none'],
    ...['--network=none', '--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges', '--user', USER],
    ...(isPodman ? ['--read-only-tmpfs=false', '--timeout', String(2 * seconds + START_MS / 1000)] : []),
    ...(isPodman && uid === 0 ? ['--uidmap', FOREIGN_IDS, '--gidmap', FOREIGN_IDS] : []),
    ...['--memory', bytes, '--memory-swap', bytes, '--cpus', String(cores), '--pids-limit', String(PROCESSES)],
    ...['--ulimit', `nproc=${PROCESSES}:${PROCESSES}`, '--ulimit', `nofile=${OPEN_FILES}:${OPEN_FILES}`],
    ...['--ulimit', `fsize=${folderBytes}:${folderBytes}`, '--ulimit', 'core=0:0'],
    ...['--tmpfs', `/work:rw,exec,nosuid,nodev,size=${folderBytes},mode=1777`, '--workdir', '/work'],
    ...[node, ...libraries].flatMap((path) => ['--mount', `type=bind,source=${path},target=${seen(path)},readonly`]),
    ...(gpu === undefined ? [] : isPodman ? ['--device', `nvidia.com/gpu=${gpu}`] : ['--gpus', `device=${gpu}`]),
    ...['--entrypoint', start, image.reference, ...rest, '--no-warnings', '--input-type=module', '--eval', code],
  ]
}

/** The image as the first engine has it that has it. @throws RunnerError no_sandbox, with what to do */
export async function findImage(reference: string): Promise<Image> {
  if (process.platform !== 'linux') throw noSandbox('containers are for Linux', 'run the agent on Linux for such work')
  let hasEngine = false
  for (const engine of ENGINES) {
    const found = await run(engine, ['image', 'inspect', reference], { timeout: LOOK_MS }).catch((error) => error)
    if (found.code === 'ENOENT') continue
    hasEngine = true
    if (found instanceof Error) continue
    const [{ Config }] = JSON.parse(found.stdout) as [{ Config?: { Entrypoint?: string[]; Cmd?: string[] } }]
    return { engine, reference, entrypoint: Config?.Entrypoint ?? [], command: Config?.Cmd ?? [] }
  }
  if (hasEngine) throw noSandbox('the image is not on this machine', `fetch it, as in: podman pull ${reference}`)
  throw noSandbox('neither podman nor docker is installed', 'install one, for example: apt install podman')
}

/** What a process in a container says of what it sees; all of it must hold. */
const PROOF = `
import { existsSync, readdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
const fails = (attempt) => { try { attempt(); return false } catch { return true } }
const numberIn = (path) => { try { return Number(readFileSync(path, 'utf8')) } catch { return Infinity } }
const { bounds, gpu } = JSON.parse(readFileSync(0, 'utf8'))
const status = readFileSync('/proc/self/status', 'utf8')
const { blocks, bsize } = statfsSync('/work')
const facts = {
  'a user namespace of its own': !/^\\s*0\\s+0\\s/m.test(readFileSync('/proc/self/uid_map', 'utf8')),
  'nobody': process.getuid() === 65534,
  'no capabilities': /^CapEff:\\s+0+$/m.test(status) && /^CapBnd:\\s+0+$/m.test(status),
  'no new privileges': /^NoNewPrivs:\\s+1$/m.test(status),
  'no network': Object.keys(networkInterfaces()).every((name) => name === 'lo'),
  'no other process': readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).length <= 3,
  'no socket of an engine': ['/run/docker.sock', '/var/run/docker.sock', '/run/podman/podman.sock'].every((path) => !existsSync(path)),
  'nothing to write but its folder': fails(() => writeFileSync('/x', '')) && fails(() => writeFileSync('/daicn/x', '')),
  'a folder to write, of bounded size': !fails(() => writeFileSync('/work/x', '')) && blocks * bsize <= bounds.folder,
  'bounded memory': Math.min(numberIn('/sys/fs/cgroup/memory.max'), numberIn('/sys/fs/cgroup/memory/memory.limit_in_bytes')) <= bounds.memory,
  'the card': !gpu || existsSync('/dev/nvidiactl'),
}
console.log(JSON.stringify(Object.keys(facts).filter((name) => !facts[name])))
`

/** Resolves when a container of the image holds here. @throws RunnerError no_sandbox, with what to do */
export async function proveContainer(image: Image, bounds: Bounds, cores: number, gpu: string | undefined) {
  const { folderBytes, memoryBytes } = bounds
  const told = { bounds: { folder: folderBytes, memory: NODE_BYTES + memoryBytes + folderBytes }, gpu }
  const input = [Buffer.from(JSON.stringify(told))]
  const { code, output, lastWords } = await runContained({ ...bounds, image, code: PROOF, input, cores, gpu })
  const mend = `let ${image.engine} run without root, with cgroups v2 whose cpu, memory and pids are delegated to your user`
  if (code !== 0) throw noSandbox(`${image.engine} cannot make a sandbox of the image: ${lastWords}`, mend)
  const missing = JSON.parse(output) as string[]
  if (missing.length > 0) throw noSandbox(`${image.engine}’s sandbox does not hold: ${missing.join('; ')}`, mend)
}
