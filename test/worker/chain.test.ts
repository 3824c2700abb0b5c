import { expect, test } from 'vitest'
import { chainSettings } from '#worker/chain/settings.ts'
import { accountOf, requester, send } from '../support/network.ts'

const DEPLOYMENT = JSON.stringify({
  chainId: 31337,
  block: 1,
  ...Object.fromEntries(
    ['token', 'settlement', 'parameters', 'registry', 'court', 'receiptLog', 'timelock', 'governor'].map((name, i) => [
      name,
      `0x${String(i).repeat(40)}`,
    ]),
  ),
})
const VARIABLES = { DEPLOYMENT, CONFIRMATIONS: '12', PUBLIC_RPC_URL: '', RPC_URL: 'https://rpc.test/secret' }

test('a network without a deployment says that it has no chain', async () => {
  const { body } = await send('GET', '/v1/chain')
  expect(body).toEqual({ chainId: 31337, deployment: null, confirmations: 0, rpc: null })
  expect(await accountOf(await requester())).not.toHaveProperty('chain')
})

test('settings of another chain, without an RPC, or with no number of blocks are refused', () => {
  expect(chainSettings(31337, VARIABLES)).toMatchObject({ confirmations: 12, publicRpc: null })
  expect(() => chainSettings(1, VARIABLES)).toThrow('CHAIN_ID is 1')
  expect(() => chainSettings(31337, { ...VARIABLES, RPC_URL: '' })).toThrow('RPC_URL must be set')
  expect(() => chainSettings(31337, { ...VARIABLES, CONFIRMATIONS: 'many' })).toThrow('many')
})
