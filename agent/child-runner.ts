/** A runner that lives in its own process, so that a task that crashes or hangs it costs one attempt and nothing more. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Kind } from '#core/protocol/work.ts'
import { isBundle } from './bundle.ts'
import { type Grants, permissionArguments } from './permissions.ts'
import { type Outcome, type Probe, type Runner, RunnerError, type RunOptions } from './runner.ts'
import type { FromHost, ToHost } from './runner-host.ts'

export type ChildRunnerOptions = {
  kind: Kind
  model: string
  /** Where its work is made; without it, its module says so with each outcome, if it can. */
  devices?: string[]
  /** URL of the module that exports `createRunner`. */
  module: URL
  /** What its process may do besides reading its own code; the owner's own code may do all. */
  grants?: Grants | 'all'
  /** How long a request may show no sign of life before its process is killed. */
  patienceMs: number
  /** How long an aborted request may take to stop. */
  abortMs?: number
  /** An idle process is ended after this and started again when there is work. */
  idleMs?: number
  onCrash?: (reason: string) => void
}

/** What a runner's process may see of the environment: where to find programs and where to put temporary files. */
const ENVIRONMENT = ['PATH', 'HOME', 'LANG', 'TMPDIR', 'TEMP', 'SystemRoot', 'LD_LIBRARY_PATH']

/**
 * Patience is counted in so many looks at the clock, not by it: a machine that sleeps, or stops this process and its runner together,
 * makes one look late, and the runner has the others left to answer.
 */
const LOOKS = 4

type Done = Extract<FromHost, { type: 'loaded' | 'probed' | 'done' }>
type Request = {
  settle: (message: Done | Extract<FromHost, { type: 'failed' }>) => void
  crash: (reason: RunnerError) => void
  onDelta: RunOptions['onDelta']
}
/** One process and what it has been asked: what happens to it is no matter of its successor. */
type Host = { process: ChildProcess; requests: Map<number, Request> }

export function createChildRunner(options: ChildRunnerOptions): Runner {
  const { kind, model, devices, patienceMs, abortMs = 2000, idleMs = 10 * 60_000 } = options
  let host: Host | undefined
  let idle: NodeJS.Timeout | undefined
  let lastId = 0

  function start(): Host {
    const env = Object.fromEntries(
      ENVIRONMENT.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])),
    )
    const [program, words] = isBundle
      ? [import.meta.url, ['runner-host']]
      : [new URL('./runner-host.ts', import.meta.url), []]
    const child = fork(fileURLToPath(program), [...words, options.module.href], {
      env,
      execArgv: options.grants === 'all' ? [] : permissionArguments(options.module, options.grants ?? {}),
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
    const started: Host = { process: child, requests: new Map() }
    const { requests } = started
    child.on('message', (message: FromHost) => {
      const request = requests.get(message.id)
      if (message.type === 'delta') request?.onDelta(message.text, message.tokens)
      else request?.settle(message)
    })
    child.on('error', () => {})
    child.on('exit', (code, signal) => {
      if (host === started) host = undefined
      if (requests.size === 0) return
      const reason = `the runner's process ended with ${signal ?? `code ${code}`}`
      options.onCrash?.(reason)
      for (const request of requests.values()) request.crash(new RunnerError('runner_crashed', reason))
    })
    return started
  }

  /** SIGKILL, because a process that does not answer will not heed less; its exit fails what it was running. */
  function kill() {
    host?.process.kill('SIGKILL')
    host = undefined
  }

  function request(
    message: { type: 'load' | 'probe' } | Omit<Extract<ToHost, { type: 'run' }>, 'id'>,
    { signal, onDelta }: Pick<RunOptions, 'signal' | 'onDelta'>,
  ): Promise<Done> {
    if (signal.aborted) return Promise.reject(aborted())
    clearTimeout(idle)
    const id = ++lastId
    host ??= start()
    const { process: child, requests } = host
    return new Promise((resolve, reject) => {
      const end = () => {
        clearInterval(patience)
        clearTimeout(stopping)
        signal.removeEventListener('abort', onAbort)
        requests.delete(id)
        if (requests.size === 0) idle = setTimeout(kill, idleMs).unref()
      }
      const fail = (error: RunnerError) => {
        end()
        reject(signal.aborted ? aborted() : error)
      }
      const giveUp = () => {
        fail(new RunnerError('runner_hung', `the runner gave no sign of life for ${patienceMs / 1000} s`))
        options.onCrash?.('the runner hung')
        kill()
      }
      let stopping: NodeJS.Timeout | undefined
      let silent = 0
      const patience = setInterval(() => ++silent === LOOKS && giveUp(), patienceMs / LOOKS)
      const onAbort = () => {
        child.send({ type: 'abort', id } satisfies ToHost, () => {})
        stopping = setTimeout(giveUp, abortMs)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      requests.set(id, {
        crash: fail,
        onDelta(text, tokens) {
          silent = 0
          onDelta(text, tokens)
        },
        settle(answer) {
          if (answer.type === 'failed')
            return fail(new RunnerError(answer.error.code, answer.error.message, answer.error.mend))
          end()
          resolve(answer)
        },
      })
      child.send(
        { ...message, id } satisfies ToHost,
        (error) => error && fail(new RunnerError('runner_crashed', error.message)),
      )
    })
  }

  return {
    kind,
    model,
    concurrency: 1,
    async load(signal) {
      await request({ type: 'load' }, { signal, onDelta: () => {} })
    },
    async probe(signal): Promise<Probe> {
      const answer = await request({ type: 'probe' }, { signal, onDelta: () => {} })
      if (answer.type !== 'probed') throw new RunnerError('runner_failed', 'the runner answered something else')
      return answer.probe
    },
    async run(input, { signal, onDelta, maxUnits, prefix }): Promise<Outcome> {
      const answer = await request({ type: 'run', input, maxUnits, prefix }, { signal, onDelta })
      if (answer.type !== 'done') throw new RunnerError('runner_failed', 'the runner answered something else')
      return { ...answer.outcome, ...(devices && { devices }) }
    },
    async close() {
      clearTimeout(idle)
      kill()
    },
  }
}

const aborted = () => new RunnerError('aborted', 'the attempt was stopped')
