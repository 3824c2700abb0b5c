/** `daicn-agent`, the provider's program. A command's code is loaded when it is called. */
import './spare-memory.ts'
import './node-20.ts'
import { Command, CommanderError, Option } from 'commander'
import { Region } from '#core/protocol/values.ts'
import { KINDS } from '#core/protocol/work.ts'
import { compileHotCode } from './hot-code.ts'
import { DEFAULT_CREDIT, DEFAULT_ETHER_PRICE, DEFAULT_STATE, type Given, LOGS } from './settings.ts'
import { VERSION } from './version.ts'

const collect = (value: string, values: string[] = []) => [...values, value]
const list = (text: string) => text.split(',')

const program = new Command('daicn-agent')
  .description('Offer this machine to the Decentralized AI Computation Network.')
  .version(VERSION)
  .configureOutput({ outputError: () => {} })
  .exitOverride()

const stateOption = () => new Option('--state <dir>', `key, settings and unsent results (default ${DEFAULT_STATE})`)
const configOption = () =>
  new Option('--config <file>', 'settings in TOML (default: agent.toml in the folder of --state)')

program
  .command('run', { isDefault: true })
  .description(
    'find out what this machine can do, offer it, and do what is asked; what it does when no command is named',
  )
  .option('--edge <url>', 'the edge to take work from; repeat for more', collect)
  .addOption(stateOption())
  .addOption(configOption())
  .option('--name <name>', 'shown to others beside the address')
  .option('--region <region>', Region.options.join(', '))
  .option('--owner <address>', 'who is told on the dashboard how this machine does: the address of your wallet')
  .option('--runners <kinds>', `kinds of work to offer, with commas (default ${KINDS.join(',')})`, list)
  .option(
    '--upstream <url>',
    'an OpenAI-compatible server to offer; repeat for more. ollama, vLLM and llama-server on this machine are found without it. DAICN_UPSTREAM_KEY in the environment is sent to it as its API key',
    collect,
  )
  .option(
    '--rpc <url>',
    'an RPC of the chain, by which vouchers are checked and claimed (default: the one that the edge names, if you trust it that far)',
  )
  .option(
    '--ether-price <tokens>',
    `what an ether is worth in tokens, to tell when a claim pays (default ${DEFAULT_ETHER_PRICE})`,
  )
  .option(
    '--credit <tokens>',
    `what a requester may owe beyond what is locked for you on the chain (default ${DEFAULT_CREDIT})`,
  )
  .option('--runner <kind/model=file>', 'a runner of your own, see docs/provider.md; repeat for more', collect)
  .option('--image <name@digest>', 'an image whose programs may run here in containers; repeat for more', collect)
  .option(
    '--device <url=id>',
    'on which of its devices a model server computes, where the agent cannot see it; repeat for more servers, with commas for several devices, with none for not known',
    collect,
  )
  .option('--price <kind=amount>', 'tokens to ask for a unit of a kind; repeat for more', collect)
  .option('--slots <n>', 'tasks at once over all kinds and edges (default: what the runners can take)')
  .option('--idle <minutes>', 'work only when nobody has touched the machine for so long')
  .option('--schedule <when>', 'work only then, as in "mon-fri 18:00-08:00"; repeat for more', collect)
  .option('--temperature <celsius>', 'rest while a card or the processor is warmer')
  .option('--power <watts>', 'let no card draw more; only root may, and without it no work is taken')
  .option('--log <how>', `${LOGS.join(', ')} (default: live on a terminal, else pretty)`)
  .action(async (given: Given) => {
    const { run } = await import('./commands/run.ts')
    process.exitCode = await run(given)
  })

for (const [word, description] of [
  ['pause', 'take no more work; what runs goes on'],
  ['resume', 'take work again'],
  ['drain', 'finish what runs, take no more, and end'],
] as const)
  program
    .command(word)
    .description(`tell the running agent: ${description}`)
    .addOption(stateOption())
    .action(async ({ state }: Given) => {
      const { order } = await import('./commands/order.ts')
      process.exitCode = await order(word, state ?? DEFAULT_STATE)
    })

program
  .command('status')
  .description('what the running agent does, what it has earned, and why it gets the work it gets')
  .addOption(stateOption())
  .option('--json', 'as JSON')
  .action(async ({ state, json = false }: Given & { json?: boolean }) => {
    const { status } = await import('./commands/status.ts')
    process.exitCode = await status(state ?? DEFAULT_STATE, json)
  })

program
  .command('claim')
  .description('claim on the chain all that the vouchers kept here are worth; needs no edge')
  .requiredOption('--rpc <url>', 'an RPC of the chain')
  .addOption(stateOption())
  .action(async ({ rpc, state }: Given & { rpc: string }) => {
    const { claim } = await import('./commands/claim.ts')
    process.exitCode = await claim(rpc, state ?? DEFAULT_STATE)
  })

program
  .command('doctor')
  .description('look at all the agent needs, and say how to mend what is wrong')
  .option('--edge <url>', 'the edge; repeat for more', collect)
  .addOption(stateOption())
  .addOption(configOption())
  .option('--upstream <url>', 'a model server; repeat for more', collect)
  .option('--json', 'as JSON')
  .action(async ({ json = false, ...given }: Given & { json?: boolean }) => {
    const { doctor } = await import('./commands/doctor.ts')
    process.exitCode = await doctor(given, json)
  })

program
  .command('install')
  .description('write a systemd unit or a launchd file that starts the agent with the machine, as agent.toml says')
  .addOption(stateOption())
  .action(async ({ state }: Given) => {
    const { install } = await import('./commands/install.ts')
    process.exitCode = await install(state ?? DEFAULT_STATE)
  })

// The process of a runner, where all of the agent is one file.
program.command('runner-host <module>', { hidden: true }).action(async () => {
  compileHotCode()
  await import('./runner-host.ts')
  await new Promise(() => {}) // it ends with the agent
})

try {
  await program.parseAsync()
} catch (error) {
  const isHelp = error instanceof CommanderError && /^commander\.(help|version)/.test(error.code)
  if (!isHelp) process.stderr.write(`${(error as Error).message.replace(/^error: /, '')}\n\nSee daicn-agent --help.\n`)
  process.exitCode =
    isHelp && !error.exitCode ? 0 : error instanceof CommanderError || error instanceof RangeError ? 2 : 1
}
process.exit()
