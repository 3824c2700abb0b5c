import type { ChatPiece } from '#core/protocol/chat-piece.ts'
import type { Offer } from '#core/protocol/provider.ts'
import type { ContainerKind, InputOf, Kind, Prefix, Usage } from '#core/protocol/work.ts'

/** What a probe found out by doing real work. `speed` is in units a second (core/pricing.ts). */
export type Probe = Pick<Offer, 'speed' | 'context' | 'digest' | 'quantization' | 'capabilities'>

export type RunOptions = {
  signal: AbortSignal
  /**
   * Called with each piece of text as it comes, the output tokens it counts, and what of a chat came beside the text of its first
   * choice; only kinds that stream call it.
   */
  onDelta: (text: string, tokens: number, beside?: ChatPiece) => void
  /** The most units that will be paid for the whole task, so the most that are worth doing. */
  maxUnits: number
  /** What others have delivered of the stream: the outcome, its usage and all deltas are only of what follows. */
  prefix?: Prefix | undefined
}

/** `devices`: ids of those of this machine on which it was made, where that is known. */
export type Outcome = { output: Record<string, unknown>; usage: Usage; devices?: string[] }

/** What a runner is given: an input that has passed INPUTS[kind], content as its bytes however it came. */
export type RunnerInput<K extends Kind> = K extends 'doc.ocr'
  ? Omit<InputOf<K>, 'image'> & { image: Uint8Array }
  : K extends 'wasi.run'
    ? ProgramGiven & { module: Uint8Array }
    : K extends ContainerKind
      ? ProgramGiven
      : InputOf<K>

type ProgramGiven = {
  args: string[]
  stdin: Uint8Array
  files: Record<string, Uint8Array>
  outputs: string[]
  seconds: number
}

/** One model on this machine, able to do one kind of work. `input` is a RunnerInput of that kind. */
export type Runner = {
  kind: Kind
  model: string
  /** Tasks it can run at once. */
  concurrency: number
  /** The same for runners that take turns at the same places, as all images do at one card: together they have as many as one. */
  places?: unknown
  /** Gets ready to work, as far as that takes long. */
  load: (signal: AbortSignal) => Promise<void>
  /** Does real work and measures it; throws RunnerError when the model cannot do it. */
  probe: (signal: AbortSignal) => Promise<Probe>
  /** A little real work, to see that it still can; only where its engine is another's program, which may go away. */
  check?: (signal: AbortSignal) => Promise<void>
  run: (input: unknown, options: RunOptions) => Promise<Outcome>
  close: () => Promise<void>
}

/** Why an attempt failed, in words its requester may read. */
export class RunnerError extends Error {
  readonly code: string
  /** What the provider can do about it. */
  readonly mend: string | undefined

  constructor(code: string, message: string, mend?: string) {
    super(message)
    this.name = 'RunnerError'
    this.code = code
    this.mend = mend
  }
}

/** Any thrown value as a RunnerError; messages are cut to what a result may carry. */
export function toRunnerError(error: unknown): RunnerError {
  if (error instanceof RunnerError) return error
  const message = error instanceof Error ? error.message : String(error)
  const code = (error as { code?: unknown } | null)?.code
  if (code === 'MODULE_NOT_FOUND' || code === 'ERR_MODULE_NOT_FOUND')
    return new RunnerError('missing_package', message.split('\n')[0]!, 'install the dependencies again: npm ci')
  return new RunnerError('runner_failed', message.slice(0, 1000))
}
