/** The commands that speak to the chain. What they run is loaded when it is needed, for it takes longest to load. */
import { Argument, type Command, InvalidArgumentError } from 'commander'
import { isAmount } from '#core/money.ts'
import { PARAMETER_NAMES, type ParameterName, SUPPORT, type Support } from '#core/parameters.ts'
import type { Address } from '#core/protocol/values.ts'
import type { ChainOptions } from './chain.ts'
import type { Cli } from './cli.ts'
import type { OverclaimOptions, VerdictOptions } from './dispute.ts'
import type { PayerOption, ReleaseOptions, SignerOption } from './money.ts'
import type { StakeOptions } from './stake.ts'
import type { ProposeOptions, VoteOptions } from './vote.ts'

const money = () => import('./money.ts')
const stakes = () => import('./stake.ts')
const disputes = () => import('./dispute.ts')
const posters = () => import('./poster.ts')
const votes = () => import('./vote.ts')

export function address(text: string): Address {
  if (/^0x[0-9a-fA-F]{40}$/.test(text)) return text.toLowerCase() as Address
  throw new InvalidArgumentError('Write an address: 0x and 40 hexadecimal digits.')
}

export function amount(text: string): string {
  if (isAmount(text)) return text
  throw new InvalidArgumentError('Write an amount of tokens, as in 0.25.')
}

const amountOrAll = (text: string): string => (text === 'all' ? text : amount(text))

function id(text: string): bigint {
  if (/^\d{1,78}$/.test(text)) return BigInt(text)
  throw new InvalidArgumentError('Write its number.')
}

/** For a command that looks at the chain. */
export const readsChain = (command: Command): Command =>
  command
    .option('--rpc <url>', 'a node of the chain (default: DAICN_RPC, or the one that the edge names)')
    .option('--deployment <file>', 'where the contracts are (default: DAICN_DEPLOYMENT, or what the edge says)')

/** Adds them to `program`. */
export function addChainCommands(program: Command, cli: () => Cli): void {
  const under = (parent: Command, name: string, description: string) =>
    readsChain(parent.command(name).description(description))
      .option('--max-fee <ether>', 'the most that a transaction may cost, its data on layer 1 included', amount)
      .option('--key-file <file>', 'a file with your Ethereum key (default: the one of your login)')
  const command = (name: string, description: string) => under(program, name, description)

  command('balance', 'tokens and accounts of an address on the chain')
    .argument('[address]', 'whose; yours unless told', address)
    .action(async (whose: Address | undefined, options: ChainOptions) => (await money()).balance(cli(), whose, options))
  command('transfer', 'send tokens to an address')
    .argument('<to>', 'who gets them', address)
    .argument('<tokens>', 'how many', amount)
    .action(async (to: Address, tokens: string, options: ChainOptions) =>
      (await money()).transfer(cli(), to, tokens, options),
    )
  command('deposit', 'move tokens into an account, in one transaction')
    .argument('<tokens>', 'how many', amount)
    .option('--signer <address>', 'who may spend them (default: the key of the edge for you)', address)
    .option('--payer <address>', 'who may take them back (default: you)', address)
    .action(async (tokens: string, options: PayerOption) => (await money()).deposit(cli(), tokens, options))
  command('withdraw', 'take back what is free in an account, at once')
    .argument('<tokens>', 'how many, or all', amountOrAll)
    .option('--signer <address>', 'which account, when there are several', address)
    .action(async (tokens: string, options: SignerOption) => (await money()).withdraw(cli(), tokens, options))
  command('lanes', 'what accounts have paid and locked, by provider')
    .argument('[address]', 'whose; yours unless told', address)
    .action(async (whose: Address | undefined, options: ChainOptions) => (await money()).lanes(cli(), whose, options))
  command('lock', 'promise a provider so many tokens more, as the signer of an account')
    .argument('<provider>', 'for whom', address)
    .argument('<tokens>', 'how many', amount)
    .option('--payer <address>', 'whose account, if not yours', address)
    .action(async (provider: Address, tokens: string, options: PayerOption) =>
      (await money()).lock(cli(), provider, tokens, options),
    )
  command('unlock', 'ask for what is locked; 36 hours later the same command frees it')
    .argument('<provider>', 'whose lane', address)
    .option('--signer <address>', 'which account, when there are several', address)
    .action(async (provider: Address, options: SignerOption) => (await money()).unlock(cli(), provider, options))

  command('close', 'leave a provider: it signs that it charges no more, and what is locked is free at once')
    .argument('<provider>', 'whose lane', address)
    .option('--signer <address>', 'which account, when there are several', address)
    .action(async (provider: Address, options: SignerOption) => (await money()).close(cli(), provider, options))

  command('release', 'free what a payer has locked for you, at once, as its provider')
    .argument('<payer>', 'whose account', address)
    .option('--signer <address>', 'which account, when there are several', address)
    .option('--provider <address>', 'whose lane, if you are its operator', address)
    .action(async (payer: Address, options: ReleaseOptions) => (await money()).release(cli(), payer, options))

  command('settle', 'pay out what an address has earned and was not paid yet')
    .argument('[address]', "whose; yours unless told, the timelock's for the fees of the network", address)
    .action(async (whose: Address | undefined, options: ChainOptions) => (await money()).settle(cli(), whose, options))

  command('stake', 'put tokens at stake as a provider')
    .argument('<tokens>', 'how many', amount)
    .option('--operator <address>', "the agent's key, when you are new (default: your own)", address)
    .option('--provider <address>', 'whose stake, if not yours', address)
    .action(async (tokens: string, options: StakeOptions) => (await stakes()).stake(cli(), tokens, options))
  command('operator', 'let another key sign what your agent states, an hour from now')
    .argument('<address>', 'the new key', address)
    .action(async (key: Address, options: ChainOptions) => (await stakes()).operator(cli(), key, options))
  command('unbond', 'ask for stake back; 14 days later the command without an amount pays it out')
    .argument('[tokens]', 'how many', amount)
    .action(async (tokens: string | undefined, options: ChainOptions) =>
      (await stakes()).unbond(cli(), tokens, options),
    )

  const dispute = program.command('dispute').description('faults of providers, brought to the court')
  under(dispute, 'equivocation', 'two receipts of one attempt that contradict: slashed at once')
    .argument('<receipt>')
    .argument('<other>')
    .action(async (a: string, b: string, options: ChainOptions) =>
      (await disputes()).equivocation(cli(), a, b, options),
    )
  under(dispute, 'overclaim', 'a signed statement below what the lane has paid: slashed at once')
    .argument('<statement>', 'what `daicn --json close` printed')
    .requiredOption('--signer <address>', "the lane's account: its signer", address)
    .option('--payer <address>', "the lane's account: its payer (default: you)", address)
    .action(async (file: string, options: OverclaimOptions) => (await disputes()).overclaim(cli(), file, options))
  under(dispute, 'open', 'dispute a result, against a bond; verifiers judge it')
    .argument('<receipt>')
    .action(async (file: string, options: ChainOptions) => (await disputes()).open(cli(), file, options))
  under(dispute, 'show', 'where a dispute is')
    .argument('<id>', '', id)
    .action(async (which: bigint, options: ChainOptions) => (await disputes()).show(cli(), which, options))
  under(dispute, 'draw', 'draw the verifiers of a dispute')
    .argument('<id>', '', id)
    .action(async (which: bigint, options: ChainOptions) => (await disputes()).draw(cli(), which, options))
  const verdict = (name: 'commit' | 'reveal', description: string) =>
    under(dispute, name, description)
      .argument('<id>', '', id)
      .addArgument(new Argument('<verdict>', 'what the result is').choices(['right', 'wrong']))
      .requiredOption('--output <file>', 'what you got, as JSON, or the task as `run --json` printed it')
      .option('--verifier <address>', 'who was drawn, if you are its operator', address)
      .action(async (which: bigint, said: string, options: VerdictOptions) =>
        (await disputes())[name](cli(), which, said, options),
      )
  verdict('commit', 'as a verifier: commit to a verdict, which nobody can read yet')
  verdict('reveal', 'as a verifier: tell the verdict that you committed to, once the time to commit is over')
  under(dispute, 'resolve', 'end a dispute that was judged')
    .argument('<id>', '', id)
    .action(async (which: bigint, options: ChainOptions) => (await disputes()).resolve(cli(), which, options))
  under(dispute, 'withdraw', 'pay out what the court has awarded to you').action(async (options: ChainOptions) =>
    (await disputes()).withdraw(cli(), options),
  )

  const poster = program.command('poster').description("the bond of who posts the roots of an edge's public log")
  under(poster, 'show', 'what somebody has bonded')
    .argument('<address>', 'who posts', address)
    .action(async (who: Address, options: ChainOptions) => (await posters()).show(cli(), who, options))
  under(poster, 'bond', 'bond tokens, so that you may post')
    .argument('<tokens>', 'how many', amount)
    .action(async (tokens: string, options: ChainOptions) => (await posters()).bond(cli(), tokens, options))
  under(poster, 'unbond', 'ask for the bond; 14 days later the same command pays it out').action(
    async (options: ChainOptions) => (await posters()).unbond(cli(), options),
  )

  command('delegate', 'let somebody vote with your tokens; yourself unless told')
    .argument('[address]', 'whom', address)
    .action(async (to: Address | undefined, options: ChainOptions) => (await votes()).delegate(cli(), to, options))
  command('parameters', 'what governance may change, and within which bounds').action(async (options: ChainOptions) =>
    (await votes()).parameters(cli(), options),
  )
  const propose = program.command('propose').description('put something to the vote')
  under(propose, 'set', 'to change a parameter')
    .addArgument(new Argument('<parameter>', 'which').choices(PARAMETER_NAMES))
    .argument('<value>', 'in its unit')
    .requiredOption('--why <text>', 'your reasons, for those who vote')
    .action(async (name: ParameterName, value: string, options: ProposeOptions) =>
      (await votes()).proposeParameter(cli(), name, value, options),
    )
  under(propose, 'pay', 'to pay tokens of the treasury')
    .argument('<address>', 'to whom', address)
    .argument('<tokens>', 'how many', amount)
    .requiredOption('--why <text>', 'your reasons, for those who vote')
    .action(async (to: Address, tokens: string, options: ProposeOptions) =>
      (await votes()).proposePayment(cli(), to, tokens, options),
    )
  command('proposals', 'what is and was voted on, the newest first').action(async (options: ChainOptions) =>
    (await votes()).proposals(cli(), options),
  )
  command('vote', 'vote on a proposal')
    .argument('<proposal>', 'its number', id)
    .addArgument(new Argument('<vote>', 'how').choices(SUPPORT))
    .option('--reason <text>', 'why')
    .action(async (which: bigint, support: Support, options: VoteOptions) =>
      (await votes()).vote(cli(), which, support, options),
    )
  command('queue', 'hand a proposal that has succeeded to the timelock')
    .argument('<proposal>', 'its number', id)
    .action(async (which: bigint, options: ChainOptions) => (await votes()).queue(cli(), which, options))
  command('execute', 'do what a queued proposal says, once its time in the timelock is over')
    .argument('<proposal>', 'its number', id)
    .action(async (which: bigint, options: ChainOptions) => (await votes()).execute(cli(), which, options))
}
