/** The process that code of others runs in, whatever makes its sandbox: bounded in output and time, and ended when it is told. */
import type { ChildProcessByStdio } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { RunnerError } from './runner.ts'

/** What every sandbox holds its code to. */
export type Bounds = {
  /** Bytes that fit into /work, and into the program's own memory. */
  folderBytes: number
  memoryBytes: number
  /** Bytes of standard output; more ends it. */
  outputBytes: number
  /** Its time begins when it has written the first byte, and it has START_MS to get there. */
  seconds: number
  signal: AbortSignal
}

/** How it ended: by itself, by its time, or by a bound (`code` is null then). `lastWords` is the end of what it complained of. */
export type SandboxedEnd = { isTimeOver: boolean; code: number | null; output: string; lastWords: string }

export const START_MS = 30_000
const LAST_WORDS = 300

/** @param kill ends all that is in the sandbox */
export function watchSandboxed(
  child: ChildProcessByStdio<Writable | null, Readable, Readable>,
  { outputBytes, seconds, signal }: Bounds,
  kill: () => void,
): Promise<SandboxedEnd> {
  const { promise, resolve, reject } = Promise.withResolvers<SandboxedEnd>()
  const chunks: Buffer[] = []
  let bytes = 0
  let lastWords = ''
  let isTimeOver = false
  let isCut = false
  const timeOver = () => {
    isTimeOver = true
    kill()
  }
  let timer = setTimeout(timeOver, START_MS)
  signal.addEventListener('abort', kill, { once: true })
  if (signal.aborted) kill()
  child.stdout.on('data', (chunk: Buffer) => {
    if (bytes === 0) {
      clearTimeout(timer)
      timer = setTimeout(timeOver, seconds * 1000)
    }
    bytes += chunk.length
    if (bytes <= outputBytes) return void chunks.push(chunk)
    if (!isCut) kill()
    isCut = true
  })
  child.stderr.setEncoding('utf8').on('data', (words: string) => {
    lastWords = (lastWords + words).slice(-LAST_WORDS)
  })
  child.once('error', (error) => reject(error))
  child.once('close', (code) => {
    clearTimeout(timer)
    signal.removeEventListener('abort', kill)
    if (signal.aborted) reject(new RunnerError('aborted', 'the attempt was stopped'))
    else
      resolve({
        isTimeOver,
        code: isCut ? null : code,
        output: Buffer.concat(chunks).toString(),
        lastWords: lastWords.trim(),
      })
  })
  return promise
}

/** Why code of others is refused here. */
export const noSandbox = (why: string, mend: string) => new RunnerError('no_sandbox', why, mend)
