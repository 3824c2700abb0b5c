/** `daicn`, the requester's command line. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { SCOPES } from '#core/protocol/account.ts'
import { Preference } from '#core/protocol/quote.ts'
import { KINDS } from '#core/protocol/work.ts'
import type { Check } from '#core/receipt.ts'
import { DaicnError } from '../error.ts'
import { batch } from './batch.ts'
import { addChainCommands, address, amount, readsChain } from './chain-commands.ts'
import { type Cli, NotLoggedIn, UsageError } from './cli.ts'
import { models, providers } from './network.ts'
import { NotVerified, receipt, type VerifyOptions, verify } from './receipt.ts'
import { reputation } from './reputation.ts'
import { assuranceOf, cancel, quote, type RunOptions, run } from './run.ts'
import { terminal } from './terminal.ts'
import { watchNetwork, watchTask } from './watch.ts'
import { why } from './why.ts'

const EXIT_CODES = `
Exit codes:
  0    done
  1    the network or a contract refused, the task did not succeed, or a receipt or a log does not verify
  2    the command was not understood
  3    not logged in, or the key may not do this
  4    the account cannot pay for it
  5    the edge, or the node of the chain, cannot be reached
  130  interrupted; what was open is cancelled`

const out = terminal(process.stdout)
const err = terminal(process.stderr)
const stopping = new AbortController()
const interrupted = new Error('Interrupted')
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // The second one does not wait for the edge to hear of it.
    if (stopping.signal.aborted) process.exit(130)
    stopping.abort(interrupted)
  })
}
// Whoever reads our output has left, as `head` does.
process.stdout.on('error', () => process.exit(0))

const program = new Command('daicn')
  .description('Run AI work on the Decentralized AI Computation Network.')
  .option('--edge <url>', 'the edge to speak to (default: the one of your login)', url)
  .option('--json', 'JSON on standard output, and nothing else there')
  .addHelpText('after', EXIT_CODES)
  .configureOutput({ outputError: () => {} })
  .exitOverride()

function url(text: string): string {
  if (URL.canParse(text) && /^https?:/.test(text)) return new URL(text).origin
  throw new InvalidArgumentError('Write a URL, as in http://127.0.0.1:8787.')
}

function number(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isFinite(value)) return value
  throw new InvalidArgumentError('Write a number.')
}

/** Loaded only by those who need it: the code that signs is what takes longest to load. */
const account = () => import('./account.ts')

const cli = (): Cli => {
  const { json = false, edge } = program.opts<{ json?: boolean; edge?: string }>()
  return { json, edge, out, err, signal: stopping.signal }
}

program
  .command('login')
  .description('sign in with your Ethereum key, or a new one, and keep an API key')
  .option('--key-file <file>', 'a file with your Ethereum key; - reads it from standard input')
  .action(async (options) => (await account()).login(cli(), options))
program
  .command('logout')
  .description('revoke the kept API key and forget it')
  .action(async () => (await account()).logout(cli()))
program
  .command('whoami')
  .description('your address and what it holds')
  .action(async () => (await account()).whoami(cli()))

const keys = program.command('keys').description('your API keys')
keys
  .command('list', { isDefault: true })
  .description('all keys')
  .action(async () => (await account()).listKeys(cli()))
keys
  .command('create <name>')
  .description('make a key')
  .option('--budget <tokens>', 'the most it may spend in all', amount)
  .addOption(new Option('--scope <scope...>', 'what it may do').choices(SCOPES))
  .option('--days <n>', 'how long it works', number)
  .action(async (name, options) => (await account()).createKey(cli(), name, options))
keys
  .command('revoke <id>')
  .description('end a key')
  .action(async (id) => (await account()).revokeKey(cli(), id))

/** A command that describes one task. */
const taskCommand = (name: string) =>
  program
    .command(name)
    .argument('[input...]', 'text, or the file of an image; text is also read from standard input')
    .addOption(new Option('--kind <kind>', 'kind of work').choices(KINDS).makeOptionMandatory())
    .option('--model <name>', 'the model to run it with')
    .option('--max-price <tokens>', 'the most it may cost', amount)
    .option('--deadline <seconds>', 'how long it may take', number)
    .addOption(new Option('--preference <what>', 'which provider to take').choices(Preference.options))
    .option('--assurance <level>', 'how sure of the result: none, spot, or quorum:2/3 as 2 of 3', assuranceOf)
    .option('--system <text>', 'llm.chat: the system message')
    .option('--max-tokens <n>', 'llm.chat: the most to write', number)
    .option('--temperature <n>', 'llm.chat: how freely', number)

taskCommand('run')
  .description('run one task and print what comes of it')
  .option('--out <file>', 'image.upscale: where to write the image')
  .addHelpText('after', '\n  daicn run --kind doc.ocr page.png\n  daicn run --kind llm.chat "What is the night?"')
  .action((input: string[], options: RunOptions) => run(cli(), input, options))
taskCommand('quote')
  .description('what a task would cost and wait, without running it')
  .action((input: string[], options: RunOptions) => quote(cli(), input, options))
program
  .command('batch')
  .description('run the tasks of a file, one as JSON on each line; run it again to go on where it was stopped')
  .argument('<in>', 'JSONL of tasks, up to 50,000')
  .argument('<out>', 'JSONL of ended tasks, each with its `line`')
  .action(async (from: string, to: string) => {
    if (!(await batch(cli(), from, to))) process.exitCode = 1
  })
program
  .command('watch')
  .description('follow a task, or the whole network')
  .argument('[task]')
  .action((task?: string) => (task === undefined ? watchNetwork(cli()) : watchTask(cli(), task)))
program
  .command('cancel <task>')
  .description('cancel a task, at whatever stage')
  .action((task: string) => cancel(cli(), task))
program
  .command('why <task>')
  .description('who was considered for a task, and why it went to whom it went')
  .action((task: string) => why(cli(), task))
program
  .command('receipt <task>')
  .description('the signed receipt of a task that has succeeded')
  .action((task: string) => receipt(cli(), task))
readsChain(program.command('verify'))
  .description('check a receipt, or hours of the public log, without asking anybody')
  .argument('[receipt]', 'a receipt; - reads it from standard input')
  .option('--log <file...>', 'exports of hours, one after the other; a receipt must be in the last')
  .option('--consistency <file>', 'what /v1/log/consistency says of the hours between them')
  .option('--poster <address>', 'who posts their roots to the chain, where they are looked up then', address)
  .option('--output <file>', 'what the task put out, as JSON, or the task as `run --json` printed it')
  .action((file: string | undefined, options: VerifyOptions) => verify(cli(), file, options))
program
  .command('models')
  .description('the models on offer')
  .action(() => models(cli()))
program
  .command('providers')
  .description('the providers of the network')
  .action(() => providers(cli()))
program
  .command('reputation')
  .description('what providers are known for')
  .argument('[provider]', 'one of them alone')
  .option('--check', 'count every reputation again from the public log, and compare')
  .action((provider: string | undefined, options: { check?: true }) => reputation(cli(), provider, options))

addChainCommands(program, cli)

type Told = { code: string; message: string; hint: string; checks?: Check[] }

/** Tells what went wrong and what to do about it. @returns the exit code */
function tell(error: unknown): number {
  if (error === interrupted) {
    err.draw([])
    if (program.opts().json) process.stdout.write(`${JSON.stringify({ error: { code: 'interrupted' } })}\n`)
    else err.note('Interrupted.')
    return 130
  }
  // Help was shown, asked for or not.
  if (error instanceof CommanderError && /^commander\.(help|version)/.test(error.code)) return error.exitCode && 2
  const told = toldOf(error)
  if (program.opts().json) process.stdout.write(`${JSON.stringify({ error: told })}\n`)
  else err.fault(`${told.message.replace(/\.$/, '')}.`, told.hint)
  return exitCodeOf(error)
}

function toldOf(error: unknown): Told {
  if (error instanceof DaicnError) return error.toJSON()
  if (error instanceof NotLoggedIn) return { code: error.code, message: error.message, hint: error.hint }
  if (error instanceof NotVerified) {
    return { code: error.code, message: error.message, hint: error.hint, checks: error.checks }
  }
  if (error instanceof UsageError) return { code: 'usage', message: error.message, hint: error.hint }
  if (error instanceof CommanderError) {
    const message = error.message.replace(/^error: /, '')
    return { code: 'usage', message: `${message[0]!.toUpperCase()}${message.slice(1)}`, hint: 'See daicn --help.' }
  }
  const { code = 'failed', message, hint = '' } = error as { code?: string; message: string; hint?: string }
  return { code, message, hint }
}

function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError || error instanceof CommanderError) return 2
  if (error instanceof NotLoggedIn) return 3
  if (!(error instanceof DaicnError)) return 1
  if (error.status === 401 || error.status === 403) return 3
  if (error.status === 402) return 4
  return error.status === 0 || error.code === 'unreachable' || error.code === 'not_understood' ? 5 : 1
}

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = tell(error)
}
