import { readFile } from 'node:fs/promises'
import { keccak256, toHex, zeroHash } from 'viem'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  daicnGovernorAbi,
  daicnSettlementAbi,
  daicnTimelockAbi,
  disputeCourtAbi,
  parametersAbi,
} from '#contracts/abi.ts'
import { buildContracts } from '../../scripts/build.ts'
import { deployContracts } from '../../scripts/deploy-contracts.ts'
import { abiModule, bytecodeFile } from '../../scripts/generate-abi.ts'
import { inRoot } from '../../scripts/paths.ts'
import { DEPLOYER, privateKeyOf, startBareChain, startTestChain, type TestChain } from '../support/chain.ts'
import { start } from '../support/command.ts'

let chain: TestChain

beforeAll(async () => {
  await buildContracts()
  chain = await startTestChain()
}, 300_000)
afterAll(() => chain?.stop())

const deploy = (rpc: string) => deployContracts({ rpc, deployer: DEPLOYER, holder: DEPLOYER.address })

test('contracts/abi.ts is what the contracts say; npm run generate:abi writes it anew', async () => {
  expect(await readFile(inRoot('contracts/abi.ts'), 'utf8')).toBe(await abiModule())
})

test('contracts/bytecode.json is what the contracts compile to', async () => {
  expect(await readFile(inRoot('contracts/bytecode.json'), 'utf8')).toBe(await bytecodeFile())
})

test('a second run finds the first and sends nothing', async () => {
  const sent = () => chain.client.getTransactionCount({ address: DEPLOYER.address })
  const before = await sent()
  expect(await deploy(chain.url)).toEqual(chain.deployment)
  expect(await sent()).toBe(before)
})

test('the program deploys to the chain that it is told, and to no other', async () => {
  const program = (...args: string[]) =>
    start(process.execPath, [inRoot('scripts/deploy-contracts.ts'), ...args, '--rpc', chain.url], {
      cwd: inRoot(),
      env: { DEPLOYER_KEY: privateKeyOf('deployer') },
    }).ended
  const [right, wrong] = await Promise.all([program('--chain', 'local'), program('--chain', 'base-sepolia')])
  expect(JSON.parse(right.stdout)).toEqual(chain.deployment)
  expect(wrong.code).toBe(1)
  expect(wrong.stderr).toContain('is of chain 31337, and base-sepolia is 84532')
})

test('a run that broke off goes on where it was', async () => {
  const other = await startBareChain()
  try {
    await other.client.setBalance({ address: DEPLOYER.address, value: 3n * 10n ** 15n })
    await expect(deploy(other.url)).rejects.toThrow(/fund|balance/i)
    await other.client.setBalance({ address: DEPLOYER.address, value: 10n ** 20n })
    const deployment = await deploy(other.url)
    expect({ ...deployment, block: 0 }).toEqual({ ...chain.deployment, block: 0 })
  } finally {
    await other.stop()
  }
})

test('the contracts know each other', async () => {
  const { token, settlement, parameters, registry, court, timelock, governor } = chain.deployment
  const { client } = chain
  const lower = (address: string) => address.toLowerCase()
  const of = { abi: daicnSettlementAbi, address: settlement } as const
  expect(lower(await client.readContract({ ...of, functionName: 'TOKEN' }))).toBe(token)
  expect(lower(await client.readContract({ ...of, functionName: 'TREASURY' }))).toBe(timelock)
  expect(lower(await client.readContract({ ...of, functionName: 'FEE_SOURCE' }))).toBe(parameters)
  const court_ = { abi: disputeCourtAbi, address: court } as const
  expect(lower(await client.readContract({ ...court_, functionName: 'REGISTRY' }))).toBe(registry)
  expect(lower(await client.readContract({ ...court_, functionName: 'SETTLEMENT' }))).toBe(settlement)
  const governor_ = { abi: daicnGovernorAbi, address: governor } as const
  expect(lower(await client.readContract({ ...governor_, functionName: 'REGISTRY' }))).toBe(registry)
  expect(lower(await client.readContract({ ...governor_, functionName: 'timelock' }))).toBe(timelock)
  const rules = { abi: parametersAbi, address: parameters } as const
  expect(lower(await client.readContract({ ...rules, functionName: 'GOVERNANCE' }))).toBe(timelock)
})

test('the deployer keeps no power, the governor has its roles', async () => {
  const { timelock, governor } = chain.deployment
  const has = (role: `0x${string}`, owner: `0x${string}`) =>
    chain.client.readContract({
      abi: daicnTimelockAbi,
      address: timelock,
      functionName: 'hasRole',
      args: [role, owner],
    })
  const proposer = keccak256(toHex('PROPOSER_ROLE'))
  expect(await has(zeroHash, DEPLOYER.address)).toBe(false)
  expect(await has(proposer, DEPLOYER.address)).toBe(false)
  expect(await has(proposer, governor)).toBe(true)
  expect(await has(keccak256(toHex('CANCELLER_ROLE')), governor)).toBe(true)
})
