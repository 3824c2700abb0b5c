/** Child processes that never outlive us, however we end. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { createInterface } from 'node:readline'

export type Program = {
  pid: number
  /** Resolves with the exit code (or 128 + signal) when it has ended. */
  ended: Promise<number>
  /** Calls back for each line of standard output. */
  onLine(listener: (line: string) => void): void
  /** Asks it to end, and after `graceMs` takes it and its children down. */
  stop(graceMs?: number): Promise<void>
  /** SIGKILL to it and all its children, and waits until it is gone. */
  kill(): Promise<void>
}

export type ProgramOptions = {
  env?: Record<string, string>
  /** File to which standard error is appended; without it, standard error is dropped. */
  log?: string
}

const SIGNALS: Partial<Record<NodeJS.Signals, number>> = { SIGINT: 2, SIGKILL: 9, SIGTERM: 15 }

/** Starts a Node program in a process group of its own, so that Ctrl-C reaches us alone and we end it in order. */
export function startProgram(script: string, args: string[], options: ProgramOptions = {}): Program {
  const log = options.log === undefined ? undefined : openSync(options.log, 'a')
  const child = spawn(process.execPath, [script, ...args], {
    detached: true,
    stdio: ['ignore', 'pipe', log ?? 'ignore'],
    env: { ...process.env, NODE_NO_WARNINGS: '1', ...options.env },
  })
  if (log !== undefined) closeSync(log)
  const pid = child.pid
  if (pid === undefined) throw new Error(`cannot start ${script}`)
  const release = dieWithUs(-pid)
  const ended = new Promise<number>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? 128 + (SIGNALS[signal ?? 'SIGKILL'] ?? 9)))
  }).finally(release)
  const lines = createInterface({ input: child.stdout! })
  return {
    pid,
    ended,
    onLine: (listener) => void lines.on('line', listener),
    stop: (graceMs = 5000) => stop(child, ended, graceMs),
    kill: () => killGroup(pid, ended),
  }
}

async function stop(child: ChildProcess, ended: Promise<number>, graceMs: number): Promise<void> {
  child.kill('SIGTERM')
  const late = setTimeout(() => signalGroup(child.pid!), graceMs)
  await ended
  clearTimeout(late)
  await killGroup(child.pid!, ended)
}

async function killGroup(pid: number, ended: Promise<number>): Promise<void> {
  signalGroup(pid)
  await ended
  // The leader is gone at once; what it started may take a moment to let go of its ports.
  for (let i = 0; i < 200 && signalGroup(pid, 0); i++) await new Promise((resolve) => setTimeout(resolve, 10))
}

/** True while a process of the group is there. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0 = 'SIGKILL'): boolean {
  try {
    return process.kill(-pid, signal)
  } catch {
    return false
  }
}

/**
 * Kills a process (or, given a negative id, a process group) when this process ends in whatever way, SIGKILL included:
 * a sleeping shell holds the other end of a pipe, which the system closes with us.
 * @returns call it when the process has ended, before its id can be used again
 */
export function dieWithUs(pid: number): () => void {
  const guard = spawn('sh', ['-c', 'read -r line || kill -9 "$1" 2>/dev/null', 'sh', String(pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  guard.on('error', () => {})
  guard.stdin.on('error', () => {})
  guard.unref()
  return () => void guard.stdin.end('done\n')
}
