/** `npm start`: a whole network on this machine, and real work through it. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { health } from '../client/account.ts'
import { terminal } from '../client/cli/terminal.ts'
import type { Metrics } from '../core/protocol/network.ts'
import { AGENTS, type Agent, startAgent } from './agents.ts'
import { buildAgent, buildWeb, buildWorker } from './build.ts'
import { fuel, type LocalChain, startLocalChain } from './chain.ts'
import { checkNode, checkPort, checkState, checkUnclaimed, Fault, parseArguments, parsePort } from './checks.ts'
import { type EdgeProcess, spawnEdge } from './edge-process.ts'
import { DEFAULT_STATE, inRoot } from './paths.ts'
import { showPayments } from './payments.ts'
import { type Program, startProgram } from './process.ts'
import { openRequester, type Requester } from './requester.ts'
import { type Done, runShowcase } from './showcase.ts'

const USAGE = 'usage: npm start [-- --once] [--simulate] [--port N] [--state DIR]'
const DEFAULT_PORT = '8787'

const out = terminal(process.stdout)
const running: { agents: Agent[]; edge?: EdgeProcess; chain?: LocalChain; crowd?: Program } = { agents: [] }
let stopping: Promise<void> | undefined

type Options = { once: boolean; simulate: boolean; port: number; state: string }

async function main({ once, simulate, port, state }: Options): Promise<number> {
  const again = existsSync(join(state, 'edge'))
  await prepare(port, state)
  out.heading('DAICN  the Decentralized AI Computation Network')
  await out.step('dashboard', buildWeb, (built) => (built ? 'built' : 'up to date'))
  await out.step('worker', buildWorker, (built) => (built ? 'bundled' : 'up to date'))
  await out.step('agent', buildAgent, (built) => (built ? 'bundled' : 'up to date'))
  const chain = await out.step('chain', () => startLocalChain(join(state, 'chain')), toldChain)
  running.chain = chain
  const start = () => spawnEdge({ port, state, build: false, chain: chain.variables })
  const edge = await out.step('edge', start, ({ url }) => `${url}${again ? ', with its history' : ''}`)
  running.edge = edge
  running.agents = await out.step(
    'agents',
    () => Promise.all(AGENTS.map((plan) => startAgent(plan, edge.url, join(state, 'agents'), chain.url))),
    (agents) => `${agents.filter(({ failure }) => failure === undefined).length} of ${agents.length} online`,
  )
  for (const agent of running.agents) introduce(agent)
  // For claims, and for payments by x402.
  const paying = [await health({ edge: edge.url }), ...running.agents]
  await Promise.all(paying.map(({ address }) => fuel(chain, address)))
  const requester = await out.step('requester', () => openRequester(edge.url, join(state, 'requester')), short)
  out.item('account', `${(await requester.daicn.account()).free} tokens free on the chain`)

  const before = (await requester.daicn.network()).metrics.totalTasks
  const tasks = await runShowcase({ out, requester, agents: running.agents })
  const paid = await showPayments({ out, chain, requester, agents: running.agents }, tasks)
  const ok = paid.settled && tasks.every(({ status }) => status === 'succeeded')
  if (once) {
    const metrics = await networkAfter(requester, before + tasks.filter(({ id }) => id !== '').length)
    await stop()
    console.log(JSON.stringify({ ok, tasks, network: metrics, chain: paid }))
    return ok ? 0 : 1
  }
  if (simulate) {
    await out.step(
      'simulated',
      () => startCrowd(edge.url, state),
      () => 'agents and requesters, labelled as such',
    )
  }
  await stayUp(edge, tasks)
  return 0
}

/** Providers and requesters that only act as if, so that the dashboard can be seen busy. */
async function startCrowd(edge: string, state: string): Promise<void> {
  const args = ['--edge', edge, '--state', join(state, 'simulated')]
  const crowd = startProgram(inRoot('scripts/crowd.ts'), args, { log: join(state, 'simulated.log') })
  running.crowd = crowd
  const ready = new Promise<true>((resolve) => crowd.onLine(() => resolve(true)))
  if ((await Promise.race([ready, crowd.ended])) === true) return
  throw new Fault('The simulated agents ended at once.', 'Their log is simulated.log in the state folder.')
}

async function prepare(port: number, state: string): Promise<void> {
  checkNode()
  await checkState(state)
  await checkUnclaimed(state)
  await checkPort(port)
  if (existsSync(join(state, 'edge')) && !existsSync(join(state, 'chain'))) {
    throw new Fault(
      `The network in ${state} is one without a chain, of an earlier version.`,
      'Remove it, or name another folder: npm start -- --state DIR.',
    )
  }
}

const toldChain = ({ url, again }: LocalChain) => `${url}, ${again ? 'with its contracts' : 'contracts deployed'}`

const short = ({ address }: Requester) => `${address.slice(0, 8)}…${address.slice(-6)}`

function introduce(agent: Agent): void {
  agent.offerings.forEach(({ kind, model, ask, unit, speed }, index) => {
    const rate = `${Number(speed.toPrecision(3)).toLocaleString('en')} units/s`
    const offer = `${kind.padEnd(12)}${model}  ${out.faint(`${ask} ${unit}, ${rate}`)}`
    out.item(index === 0 ? agent.name : '', offer)
  })
  for (const { kind, model, why, mend } of agent.missing) {
    out.warning(`${agent.name} lacks ${kind} ${model}: ${sentence(why)}`, sentence(mend ?? 'run `npm ci` again'))
  }
  if (agent.failure !== undefined) out.warning(`${agent.name} is not online: ${sentence(agent.failure)}`, '')
}

const sentence = (text: string) => text.trim().replace(/\.*$/, '.')

/** The metrics once they count so many tasks: the feed follows the market by a moment. */
async function networkAfter({ daicn }: Requester, totalTasks: number): Promise<Metrics> {
  for (let tries = 0; ; tries++) {
    const { metrics } = await daicn.network()
    if (metrics.totalTasks >= totalTasks || tries === 50) {
      const { totalProviders, activeProviders, averageReputation, healthScore } = metrics
      return { totalProviders, activeProviders, totalTasks: metrics.totalTasks, averageReputation, healthScore }
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

async function stayUp(edge: EdgeProcess, tasks: Done[]): Promise<void> {
  const done = tasks.filter(({ status }) => status === 'succeeded').length
  out.heading(`${done} of ${tasks.length} tasks done. The network is up.`)
  out.item('dashboard', out.accent(edge.url))
  out.item('API', `${edge.url}/v1`)
  out.item('stop', 'Ctrl-C')
  out.line()
  for (const { name, program } of running.agents) {
    void program.ended.then((code) => {
      if (!stopping)
        out.warning(`Agent ${name} ended with code ${code}.`, 'Ctrl-C and start again; its log is beside its key.')
    })
  }
  const code = await edge.program.ended
  if (!stopping) throw new Fault(`The edge ended with code ${code}.`, 'Its log is edge.log in the state folder.')
  await stopping
}

/** Agents first, so that they give back what they hold while the edge still listens; the chain last. */
function stop(): Promise<void> {
  stopping ??= (async () => {
    await Promise.all([running.crowd?.stop(8000), ...running.agents.map(({ program }) => program.stop(8000))])
    await running.edge?.program.stop()
    await running.chain?.stop()
  })()
  return stopping
}

function onSignal(): void {
  if (stopping) {
    // A second Ctrl-C: no more waiting.
    for (const { program } of running.agents) void program.kill()
    void running.crowd?.kill()
    void running.edge?.program.kill()
    void running.chain?.stop()
    return
  }
  out.line()
  out.note('Stopping.')
  void stop().finally(() => process.exit(130))
}

function options(): Options {
  const { values } = parseArguments(
    {
      options: {
        once: { type: 'boolean' },
        simulate: { type: 'boolean' },
        port: { type: 'string' },
        state: { type: 'string' },
      },
    },
    USAGE,
  )
  return {
    once: values.once ?? false,
    simulate: values.simulate ?? false,
    port: parsePort(values.port ?? process.env.PORT ?? DEFAULT_PORT),
    state: resolve(values.state ?? DEFAULT_STATE),
  }
}

process.on('SIGINT', onSignal)
process.on('SIGTERM', onSignal)
try {
  process.exitCode = await main(options())
} catch (error) {
  // While stopping, whatever breaks breaks because we stop.
  if (!stopping) {
    if (error instanceof Fault) out.fault(error.message, error.mend)
    else out.fault((error as Error).message, '')
    process.exitCode = 1
  }
}
await stop()
process.exit()
