/** What a real agent's results say of where they were made, summed by a real edge, and told to its owner by `status`. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { call } from '../../client/edge.ts'
import type { OwnProviders } from '../../core/directory.ts'
import { parseAmount } from '../../core/money.ts'
import type { AccountView } from '../../core/protocol/account.ts'
import type { Earnings } from '../../core/protocol/provider.ts'
import type { TaskView } from '../../core/protocol/task.ts'
import { inRoot } from '../../scripts/paths.ts'
import { startAgentProcess } from '../support/agent-process.ts'
import { createWorld, newRequester, type World } from '../support/fault-world.ts'
import { eventually } from '../support/ledger.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world?.end())

const status = async (state: string, ...words: string[]) => {
  const command = [inRoot('agent/main.ts'), 'status', '--state', state, ...words]
  return (await promisify(execFile)(process.execPath, command)).stdout
}

test('status names the processor with all that was earned, also after the edge was killed', async () => {
  const agent = await startAgentProcess(world, 'desk', ['text.embed'])
  const provider = world.providers[0]!
  const alice = await newRequester(world)
  for (const texts of [['one'], ['two', 'three'], ['four']]) {
    const body = { kind: 'text.embed', input: { texts } }
    const task = call<TaskView>(alice.caller, 'POST', '/v1/tasks?waitSeconds=20', { body, holdMs: 20_000 })
    expect(await task).toMatchObject({ status: 'succeeded', provider: agent.address })
  }
  const { earned } = await eventually('the earnings are in the account', 10_000, async () => {
    const account = await call<AccountView>(provider.caller, 'GET', '/v1/account')
    const { earned } = await call<Earnings>(provider.caller, 'GET', '/v1/provider/earnings')
    return account.earned === earned && earned !== '0' ? account : undefined
  })
  expect(parseAmount(earned)).toBeGreaterThan(0n)

  const told = async () => {
    const { standings } = JSON.parse(await status(agent.state, '--json')) as { standings: { earnings: Earnings }[] }
    const { earnings } = standings[0]!
    const processor = earnings.devices.find(({ kind }) => kind === 'cpu')
    expect(processor).toMatchObject({ id: 'CPU', tasks: 3, earned })
    expect(earnings).toMatchObject({ earned, unknown: '0' })
    return processor!.name!
  }
  const name = await told()
  const line = (await status(agent.state)).split('\n').find((line) => line.trimEnd().endsWith(earned))
  expect(line).toContain(name.slice(0, 10))

  // Named while the agent runs, its owner sees the same.
  const olga = await newRequester(world)
  await writeFile(join(agent.state, 'agent.toml'), `owner = "${olga.address}"\n`)
  const [own] = await eventually('the owner sees its machine', 20_000, async () => {
    const { providers } = await call<OwnProviders>(olga.caller, 'GET', '/v1/account/providers')
    return providers.length > 0 ? providers : undefined
  })
  expect(own).toMatchObject({ address: agent.address, name: 'desk', earned, earnings: { earned, unknown: '0' } })

  const online = agent.events.filter(({ event }) => event === 'online').length
  await world.crash()
  await agent.says(() => agent.events.filter(({ event }) => event === 'online').length > online)
  await told()
})
