/**
 * Simulated providers and requesters of a live local network: real agents and clients over the real API, but no model behind them.
 * A program of its own, started by `npm start -- --simulate`; it says `ready` when its providers are there. All that it adds says
 * that it is simulated: its models, its providers' names, its outputs, and by `SIMULATED` the network itself.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Agent, startAgent } from '../agent/agent.ts'
import { createEdge } from '../agent/edge.ts'
import { loadAccount } from '../agent/key.ts'
import { type Runner, RunnerError } from '../agent/runner.ts'
import { TIMING } from '../agent/timing.ts'
import { createTurns } from '../agent/work.ts'
import { PREFERENCES } from '../core/matching.ts'
import { formatAmount } from '../core/money.ts'
import { type Offer, SIMULATED } from '../core/protocol/provider.ts'
import { Region } from '../core/protocol/values.ts'
import type { InputOf, Kind } from '../core/protocol/work.ts'
import { between, chance, exponential, lognormal, oneOf, type Random, randomOf, whole } from '../simulator/random.ts'
import { openRequester, type Requester } from './requester.ts'

const PROVIDERS = 16
const REQUESTERS = 4
/** The most tasks of a requester that are open at a time, and the mean time between two of them. */
const OPEN = 12
const EVERY_MS = 700

/** `speed`: units a second of an ordinary provider. `price`: base units for one. */
type Model = { kind: Kind; name: string; speed: number; price: number }
const MODELS: Model[] = [
  { kind: 'llm.chat', name: 'simulated-8b', speed: 90, price: 4e11 },
  { kind: 'llm.chat', name: 'simulated-70b', speed: 25, price: 2e12 },
  { kind: 'text.embed', name: 'simulated-embed', speed: 4000, price: 2e10 },
]

const WORDS = 'This text is simulated: no model wrote it, and it only shows how a stream of tokens looks. '.split(
  /(?<= )/,
)

async function startProvider(n: number, edgeUrl: string, state: string): Promise<Agent> {
  const random = randomOf(n, 'provider')
  const account = await loadAccount(join(state, `provider-${n}`))
  const works = MODELS.slice(whole(random, MODELS.length)).map((model) => ({
    model,
    speed: model.speed * lognormal(random, 1, 0.4),
    price: model.price * lognormal(random, 1, 0.3),
  }))
  const offers = works.map(({ model: { kind, name }, speed, price }): Offer => {
    return { kind, model: name, ask: formatAmount(BigInt(Number(price.toPrecision(2)))), speed }
  })
  return startAgent({
    edge: createEdge(edgeUrl, account, Date.now),
    registration: {
      name: `simulated ${n + 1}`,
      slots: 1 + whole(random, 4),
      region: oneOf(random, Region.options),
      offers,
      agent: SIMULATED,
    },
    runners: works.map(({ model, speed }) => runnerOf(model, speed, random)),
    turns: createTurns(),
    spool: { save: async () => {}, remove: async () => {}, load: () => [], close: async () => {} },
    log: () => {},
    now: Date.now,
    random: Math.random,
    timing: TIMING,
  })
}

/** Takes the time that work would take, and now and then fails. */
function runnerOf({ kind, name }: Model, speed: number, random: Random): Runner {
  return {
    kind,
    model: name,
    concurrency: 8,
    load: async () => {},
    probe: async () => ({ speed }),
    close: async () => {},
    async run(input, { signal, onDelta, maxUnits, prefix }) {
      if (chance(random, 0.02)) throw new RunnerError('simulated_fault', 'A simulated provider failed, as some do.')
      if (kind === 'text.embed') {
        const { texts } = input as InputOf<'text.embed'>
        await pause((texts.length * 10_000) / speed, signal)
        const embeddings = texts.map(() => Array.from({ length: 8 }, () => between(random, -1, 1)))
        return { output: { embeddings }, usage: { inputTokens: texts.length, outputTokens: 0 } }
      }
      const { max_tokens: most = 64 } = input as InputOf<'llm.chat'>
      const tokens = Math.min(most, maxUnits) - (prefix?.tokens ?? 0)
      let content = ''
      for (let n = 0; n < tokens; n++) {
        await pause(1000 / speed, signal)
        const word = WORDS[n % WORDS.length]!
        content += word
        onDelta(word, 1)
      }
      return { output: { content, finishReason: 'length' }, usage: { inputTokens: 12, outputTokens: tokens } }
    },
  }
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      reject(signal.reason)
    })
  })

/** Asks for work until the program ends; what the edge refuses is left alone. */
function keepAsking({ daicn }: Requester, n: number): void {
  const random = randomOf(n, 'requester')
  let open = 0
  const ask = async () => {
    if (open >= OPEN) return
    open++
    const { kind, name: model } = oneOf(random, MODELS)
    const preference = oneOf(random, PREFERENCES)
    try {
      if (kind === 'text.embed') {
        await daicn.run({ kind, model, preference, input: { texts: ['a simulated text'] } })
        return
      }
      const tokens = Math.min(600, Math.ceil(lognormal(random, 150, 0.8)))
      const input = { messages: [{ role: 'user' as const, content: 'A simulated prompt.' }], max_tokens: tokens }
      await daicn.run({ kind: 'llm.chat', model, preference, input })
    } catch {
    } finally {
      open--
    }
  }
  const next = () => {
    void ask()
    setTimeout(next, exponential(random, EVERY_MS))
  }
  next()
}

const { values } = parseArgs({ options: { edge: { type: 'string' }, state: { type: 'string' } } })
const { edge, state } = values as { edge: string; state: string }
const agents = await Promise.all(Array.from({ length: PROVIDERS }, (_, n) => startProvider(n, edge, state)))
process.once('SIGTERM', async () => {
  const hurry = AbortSignal.timeout(1000)
  await Promise.all(agents.map((agent) => agent.stop(500, hurry)))
  process.exit(0)
})
for (let n = 0; n < REQUESTERS; n++) keepAsking(await openRequester(edge, join(state, `requester-${n}`)), n)
console.log('ready')
