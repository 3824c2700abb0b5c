/** Pull agents: each a signed-in provider that answers every lease at once, over its own connection. */
import { setTimeout as wait } from 'node:timers/promises'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { signIn } from '../../client/account.ts'
import { call } from '../../client/edge.ts'
import type { PollAnswer } from '../../core/protocol/lease.ts'
import type { Register } from '../../core/protocol/provider.ts'
import { openConnection, request } from './http.ts'

export const MODEL = 'bench/echo'
export const USAGE = { inputTokens: 10, outputTokens: 40 }

export const OUTCOME = JSON.stringify({
  status: 'succeeded',
  output: { content: 'echo', finishReason: 'stop' },
  usage: USAGE,
})

/** Registers so many providers. @returns their session tokens */
export async function registerProviders(edge: string, count: number, slots: number, model = MODEL): Promise<string[]> {
  const register: Partial<Register> = {
    name: 'bench',
    slots,
    offers: [{ kind: 'llm.chat', model, ask: '0.000000001', speed: 1000 }],
  }
  const tokens: string[] = []
  for (let i = 0; i < count; i++) {
    const { token } = await signIn({ edge }, privateKeyToAccount(generatePrivateKey()))
    await call({ edge, key: token }, 'POST', '/v1/provider/register', { body: register })
    tokens.push(token)
  }
  return tokens
}

export type Agents = {
  /** Rejects as soon as one of them meets an error. */
  failed: Promise<never>
  /** Says that none of them takes work any more, and hangs up. Only when no lease is open. */
  stop(): Promise<void>
}

export async function startAgents(edge: string, tokens: string[], free: number): Promise<Agents> {
  const agents = await Promise.all(tokens.map((token) => startAgent(edge, token, free)))
  const failed = Promise.race(agents.map((agent) => agent.failed))
  failed.catch(() => {})
  return {
    failed,
    async stop() {
      await Promise.all(agents.map((agent) => agent.stop()))
    },
  }
}

async function startAgent(edge: string, token: string, free: number): Promise<Agents> {
  const url = new URL('/v1/provider/poll', edge)
  const headers = { authorization: `Bearer ${token}` }
  const connection = await openConnection(url)
  let seen = 0
  let stopping = false
  const poll = async (over: typeof connection, body: string): Promise<PollAnswer> => {
    const { status, body: answer } = await over.send(request('POST', url, headers, body))
    if (status !== 200) throw new Error(`poll answered ${status}: ${answer.toString().slice(0, 500)}`)
    return JSON.parse(answer.toString()) as PollAnswer
  }
  const work = async (): Promise<void> => {
    for (let results = ''; !stopping || results !== ''; ) {
      const body = `{"free":${free},"seen":${seen},"results":[${results}],"renew":[],"waitSeconds":25}`
      const answer = await poll(connection, body)
      const refused = answer.results.find((receipt) => !receipt.accepted)
      if (refused) throw new Error(`result of ${refused.lease} refused: ${refused.code}`)
      for (const lease of answer.leases) seen = Math.max(seen, lease.seq)
      results = answer.leases.map((lease) => `{"lease":"${lease.id}","outcome":${OUTCOME}}`).join()
    }
  }
  const worked = work()
  const failed = worked.then(() => new Promise<never>(() => {}))
  failed.catch(() => {})
  return {
    failed,
    async stop() {
      stopping = true
      // A second poll of a provider ends its first; one that overtook the first is tried again.
      const second = await openConnection(url)
      for (let over = false; !over; ) {
        await poll(second, `{"free":0,"seen":${seen},"results":[],"renew":[],"waitSeconds":0.01}`)
        over = await Promise.race([worked.then(() => true), wait(50).then(() => false)])
      }
      second.close()
      connection.close()
    },
  }
}
