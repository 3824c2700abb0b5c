/** What the tasks came to on the chain, told once their providers have claimed it. */
import { setTimeout as wait } from 'node:timers/promises'
import type { Terminal } from '../client/cli/terminal.ts'
import { formatAmount, parseAmount } from '../core/money.ts'
import type { Address } from '../core/protocol/values.ts'
import type { Agent } from './agents.ts'
import { type LocalChain, readBalances } from './chain.ts'
import type { Requester } from './requester.ts'
import type { Done } from './showcase.ts'

/** Amounts in tokens. `paid`: by the requester's lane to the provider, over all time; `fees`: of the whole network. */
export type Payments = {
  chainId: number
  token: Address
  settlement: Address
  /** Every task of this run was paid. */
  settled: boolean
  requester: { address: Address; account: string; free: string }
  providers: { name: string; address: Address; paid: string; wallet: string }[]
  fees: string
}

type Stage = { out: Terminal; chain: LocalChain; requester: Requester; agents: Agent[] }

const PATIENCE_MS = 30_000
const LOOK_MS = 100

/** Waits until every task is paid, and shows who has what then. */
export async function showPayments({ out, chain, requester, agents }: Stage, tasks: Done[]): Promise<Payments> {
  out.heading('Paid on the chain')
  const settled = await untilClaimed(agents, tasks)
  if (!settled)
    out.warning(
      'Not every task is paid yet.',
      agents
        .map(({ unpaid }) => unpaid ?? '')
        .join(' ')
        .trim(),
    )
  const address = requester.address as Address
  const { account } = (await requester.daicn.account()).chain!
  const { wallet, free, paidTo, fees } = readBalances(chain, account)
  const providers = await Promise.all(
    agents.map(async ({ name, address }) => ({
      name,
      address,
      paid: formatAmount(await paidTo(address)),
      wallet: formatAmount(await wallet(address)),
    })),
  )
  for (const provider of providers) out.item(provider.name, `${provider.wallet} tokens in its wallet`)
  const [left, kept] = [formatAmount(await free()), formatAmount(await fees())]
  out.item('network', `${kept} tokens of fees`)
  out.item('requester', `${left} tokens left in its account`)
  const { chainId, token, settlement } = chain.deployment
  return { chainId, token, settlement, settled, requester: { address, account, free: left }, providers, fees: kept }
}

/** True once each agent has claimed what its tasks cost, which is soon after they end. */
async function untilClaimed(agents: Agent[], tasks: Done[]): Promise<boolean> {
  const owed = agents.map((agent) => {
    const own = tasks.filter(({ provider }) => provider === agent.address)
    return { agent, amount: own.reduce((sum, { price }) => sum + parseAmount(price ?? '0'), 0n) }
  })
  const isPaid = () => owed.every(({ agent, amount }) => agent.claimed >= amount)
  for (const until = Date.now() + PATIENCE_MS; !isPaid() && Date.now() < until; ) await wait(LOOK_MS)
  return isPaid()
}
