/**
 * Code of others, as a process that has nothing: no network, no home, no /etc, no other process, no capability, and bounds on
 * memory, files, processes, output and time. By bubblewrap; it is proved before anything is run in it, and without it nothing is.
 */
import { execFile, spawn } from 'node:child_process'
import { promisify } from 'node:util'
import { type Bounds, noSandbox, type SandboxedEnd, START_MS, watchSandboxed } from './sandboxed-process.ts'

export type SandboxedRun = Bounds & {
  /** A module of JavaScript, which Node runs. It writes what it has to say to standard output. */
  code: string
  /** What it may read, by the place where it sees it. It may write to /work alone. */
  reads: Record<string, string>
}

/** What Node itself takes beside what its program may. */
const NODE_BYTES = 1024 ** 3
const PROCESSES = 64
const OPEN_FILES = 256
const MIB = 1024 ** 2
const LIBRARIES = ['/lib', '/lib64', '/usr/lib', '/usr/lib64']

export function runSandboxed(run: SandboxedRun): Promise<SandboxedEnd> {
  const child = spawn('bwrap', bubblewrapArguments(run), {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH },
  })
  // All that is in the sandbox dies with this process.
  return watchSandboxed(child, run, () => void child.kill('SIGKILL'))
}

function bubblewrapArguments({ code, reads, folderBytes, memoryBytes, seconds }: SandboxedRun): string[] {
  return [
    ...['--unshare-all', '--unshare-user', '--die-with-parent', '--new-session', '--clearenv'],
    ...['--cap-drop', 'ALL', '--uid', '65534', '--gid', '65534', '--hostname', 'sandbox'],
    ...LIBRARIES.flatMap((folder) => ['--ro-bind-try', folder, folder]),
    ...['--ro-bind', process.execPath, '/node', '--ro-bind', PRLIMIT, '/prlimit'],
    ...['--proc', '/proc', '--dev', '/dev'],
    ...['--size', String(folderBytes), '--tmpfs', '/work'],
    ...Object.entries(reads).flatMap(([seen, path]) => ['--ro-bind', path, seen]),
    // What is left of the file system is empty; nothing may be put there.
    ...['--remount-ro', '/', '--remount-ro', '/dev', '--chdir', '/work', '--'],
    '/prlimit',
    ...[`--data=${NODE_BYTES + memoryBytes}`, `--cpu=${2 * seconds + START_MS / 1000}`, `--fsize=${folderBytes}`],
    ...[`--nproc=${PROCESSES}`, `--nofile=${OPEN_FILES}`, '--core=0', '--'],
    ...[
      '/node',
      '--no-warnings',
      `--wasm-max-mem-pages=${memoryBytes / 65_536}`,
      `--max-old-space-size=${memoryBytes / MIB}`,
    ],
    ...['--input-type=module', '--eval', code],
  ]
}

const PRLIMIT = '/usr/bin/prlimit'

/** What a process in the sandbox says of what it sees; all of it must hold. */
const PROOF = `
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
const fails = (attempt) => { try { attempt(); return false } catch { return true } }
const facts = {
  'no /etc, no home, nothing of the system': ['/etc', '/home', '/root', '/var', '/usr/bin', '/sys'].every((path) => !existsSync(path)),
  'no network': Object.keys(networkInterfaces()).every((name) => name === 'lo'),
  'no other process': readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).length <= 3,
  'nobody': process.getuid() === 65534,
  'no capabilities': /^CapEff:\\s+0+$/m.test(readFileSync('/proc/self/status', 'utf8')),
  'nothing to write but its folder': fails(() => writeFileSync('/x', '')) && fails(() => writeFileSync('/usr/lib/x', '')),
  'a folder to write': !fails(() => writeFileSync('/work/x', '')),
}
console.log(JSON.stringify(Object.keys(facts).filter((name) => !facts[name])))
`

/** Resolves when the sandbox holds here. Throws RunnerError no_sandbox with what to do. */
export async function proveSandbox(signal: AbortSignal): Promise<void> {
  if (process.platform !== 'linux') throw noSandbox('bubblewrap is for Linux', 'run the agent on Linux for such work')
  await promisify(execFile)('bwrap', ['--version']).catch(() => {
    throw noSandbox('bubblewrap is not installed', 'install it, for example: apt install bubblewrap')
  })
  const bounds = { reads: {}, folderBytes: MIB, memoryBytes: 64 * MIB, outputBytes: 65_536, seconds: 10, signal }
  const { code, output, lastWords } = await runSandboxed({ code: PROOF, ...bounds })
  if (code !== 0) {
    const mend =
      'allow user namespaces without privileges (kernel.unprivileged_userns_clone, or the AppArmor profile of bwrap)'
    throw noSandbox(`bubblewrap cannot make a sandbox here: ${lastWords}`, mend)
  }
  const missing = JSON.parse(output) as string[]
  if (missing.length > 0)
    throw noSandbox(`the sandbox does not hold: ${missing.join('; ')}`, 'bring bubblewrap up to date')
}
