/** What a sandboxed program leaves, on its way out of the sandbox and as the task's output. */
import type { OutputOf, ProgramKind } from '#core/protocol/work.ts'
import { RunnerError } from './runner.ts'
import type { SandboxedEnd } from './sandboxed-process.ts'

export type ProgramOutput = OutputOf<ProgramKind>

/** As timeout(1) has it, and as a shell calls SIGABRT. */
const TIME_OVER = 124
export const BROKE_OFF = 134

/**
 * Runs in the sandbox, after the program: `leave(exitCode)` writes its output and the files `outputs`, of `most` bytes together, as
 * JSON, and ends the process. Links and whatever else is no file are passed over.
 */
export const LEAVE = `
const end = (answer) => { writeFileSync(1, JSON.stringify(answer)); process.exit(0) }
let bytes = 0
const take = (path) => {
  const info = lstatSync(path, { throwIfNoEntry: false })
  if (!info?.isFile()) return undefined
  bytes += info.size
  if (bytes > most) end({ tooLarge: bytes })
  return readFileSync(path).toString('base64')
}
const leave = (exitCode) => {
  const output = { exitCode, stdout: take('/work/own/stdout') ?? '', stderr: take('/work/own/stderr') ?? '', files: {} }
  for (const name of outputs) {
    const content = take('/work/folder/' + name)
    if (content !== undefined) output.files[name] = content
  }
  end({ output })
}
`

type Answer = { output: ProgramOutput } | { invalid: string } | { tooLarge: number }

/** @throws RunnerError invalid_input, output_too_large */
export function programOutputOf({ isTimeOver, code, output }: SandboxedEnd, outputBytes: number): ProgramOutput {
  if (isTimeOver) return { exitCode: TIME_OVER, stdout: '', stderr: '', files: {} }
  if (code !== 0 || output === '') return { exitCode: BROKE_OFF, stdout: '', stderr: '', files: {} }
  const answer = JSON.parse(output) as Answer
  if ('invalid' in answer) throw new RunnerError('invalid_input', `the program cannot be run: ${answer.invalid}`)
  if ('tooLarge' in answer)
    throw new RunnerError('output_too_large', `the program left ${answer.tooLarge} bytes, the limit is ${outputBytes}`)
  return answer.output
}
