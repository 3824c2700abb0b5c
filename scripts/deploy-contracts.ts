/**
 * Puts the contracts on a chain. Each address follows from the code and its arguments (CREATE2 by the deployer that every
 * chain has), so a second run finds what the first one left and goes on from there.
 *
 *   node scripts/deploy-contracts.ts --chain NAME [--rpc URL] [--holder ADDRESS]
 *
 * NAME is one of core/chains.ts, and the key of the deployer is in DEPLOYER_KEY. Prints the address book as JSON.
 */
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import {
  type Abi,
  type Address,
  concat,
  createWalletClient,
  encodeDeployData,
  getAddress,
  getContractAddress,
  type Hex,
  http,
  keccak256,
  type LocalAccount,
  publicActions,
  toHex,
  zeroHash,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import {
  daicnGovernorAbi,
  daicnSettlementAbi,
  daicnTimelockAbi,
  daicnTokenAbi,
  disputeCourtAbi,
  parametersAbi,
  receiptLogAbi,
} from '../contracts/abi.ts'
import { CHAINS } from '../core/chains.ts'
import { Deployment } from '../core/deployment.ts'
import type { ContractName } from './contracts.ts'
import { inRoot } from './paths.ts'

/** The deterministic deployment proxy, at one address on every chain (github.com/Arachnid/deterministic-deployment-proxy). */
const CREATE2_DEPLOYER = '0x4e59b44847b379578588920cA78FbF26c0B4956C'
/** Between a decision of the governor and its deed, seconds. */
const TIMELOCK_DELAY = 2n * 24n * 60n * 60n
/** Gives the timelock's roles away, and is gone from then on. */
const ADMIN_ROLE = zeroHash
const GOVERNOR_ROLES = [keccak256(toHex('PROPOSER_ROLE')), keccak256(toHex('CANCELLER_ROLE'))]

export type DeploySettings = {
  rpc: string
  /** Pays for it; holds no power over the contracts when it is done. */
  deployer: LocalAccount
  /** Receives the whole supply of tokens. */
  holder: Address
}

type Chain = ReturnType<typeof connect>

const connect = ({ rpc, deployer }: DeploySettings) =>
  createWalletClient({ account: deployer, transport: http(rpc) }).extend(publicActions)

/** Deploys what is not there yet. */
export async function deployContracts(settings: DeploySettings): Promise<Deployment> {
  const chain = connect(settings)
  const before = await chain.getBlockNumber()
  const token = await deploy(chain, 'DaicnToken', daicnTokenAbi, [settings.holder])
  const timelock = await deploy(chain, 'DaicnTimelock', daicnTimelockAbi, [TIMELOCK_DELAY, settings.deployer.address])
  const parameters = await deploy(chain, 'Parameters', parametersAbi, [timelock])
  const settlement = await deploy(chain, 'DaicnSettlement', daicnSettlementAbi, [token, timelock, parameters])
  const court = await deploy(chain, 'DisputeCourt', disputeCourtAbi, [token, settlement, parameters, timelock])
  // The court deploys its registry first of all.
  const registry = getContractAddress({ from: court, nonce: 1n })
  const receiptLog = await deploy(chain, 'ReceiptLog', receiptLogAbi, [token, parameters, timelock])
  const governor = await deploy(chain, 'DaicnGovernor', daicnGovernorAbi, [token, registry, timelock])
  await handOver(chain, timelock, governor)
  return Deployment.parse({
    chainId: await chain.getChainId(),
    block: Number(await firstBlockOf(chain, token, before)),
    token,
    settlement,
    parameters,
    registry,
    court,
    receiptLog,
    timelock,
    governor,
  })
}

/** The first block with the contract in it, which an earlier run may have put there. */
async function firstBlockOf(chain: Chain, address: Address, before: bigint): Promise<bigint> {
  const hasCode = (blockNumber: bigint) => chain.getCode({ address, blockNumber })
  let present = await chain.getBlockNumber({ cacheTime: 0 })
  let absent = (await hasCode(before)) ? 0n : before
  while (present - absent > 1n) {
    const middle = (absent + present) / 2n
    if (await hasCode(middle)) present = middle
    else absent = middle
  }
  return present
}

async function deploy(chain: Chain, name: ContractName, abi: Abi, args: unknown[]): Promise<Address> {
  const bytecodes: Record<ContractName, Hex> = JSON.parse(await readFile(inRoot('contracts/bytecode.json'), 'utf8'))
  const initCode = encodeDeployData({ abi, bytecode: bytecodes[name], args })
  const address = getContractAddress({ opcode: 'CREATE2', from: CREATE2_DEPLOYER, salt: zeroHash, bytecode: initCode })
  if (await chain.getCode({ address })) return address
  const hash = await chain.sendTransaction({ to: CREATE2_DEPLOYER, data: concat([zeroHash, initCode]), chain: null })
  await succeeded(chain, hash, name)
  return address
}

/** The governor becomes the only one that proposes to the timelock; the deployer gives up its own role last. */
async function handOver(chain: Chain, timelock: Address, governor: Address): Promise<void> {
  const contract = { abi: daicnTimelockAbi, address: timelock } as const
  const deployer = chain.account.address
  const has = (role: Hex, owner: Address) =>
    chain.readContract({ ...contract, functionName: 'hasRole', args: [role, owner] })
  if (!(await has(ADMIN_ROLE, deployer))) return
  for (const role of GOVERNOR_ROLES) {
    if (await has(role, governor)) continue
    const hash = await chain.writeContract({
      ...contract,
      functionName: 'grantRole',
      args: [role, governor],
      chain: null,
    })
    await succeeded(chain, hash, 'grantRole')
  }
  const hash = await chain.writeContract({
    ...contract,
    functionName: 'renounceRole',
    args: [ADMIN_ROLE, deployer],
    chain: null,
  })
  await succeeded(chain, hash, 'renounceRole')
}

async function succeeded(chain: Chain, hash: Hex, what: string): Promise<void> {
  const receipt = await chain.waitForTransactionReceipt({ hash, pollingInterval: 50 })
  if (receipt.status !== 'success') throw new Error(`${what} was reverted in ${hash}`)
}

if (import.meta.main) {
  const options = { chain: { type: 'string' }, rpc: { type: 'string' }, holder: { type: 'string' } } as const
  const { values } = parseArgs({ options })
  const chain = CHAINS[values.chain ?? '']
  if (!chain) throw new Error(`say --chain NAME, one of ${Object.keys(CHAINS).join(', ')}`)
  const key = process.env.DEPLOYER_KEY as Hex | undefined
  if (!key) throw new Error('give the key of the deployer in DEPLOYER_KEY')
  const deployer = privateKeyToAccount(key)
  const { rpc = chain.rpc, holder = deployer.address } = values
  const settings = { rpc, deployer, holder: getAddress(holder) }
  const chainId = await connect(settings).getChainId()
  if (chainId !== chain.id) throw new Error(`${rpc} is of chain ${chainId}, and ${values.chain} is ${chain.id}`)
  console.log(JSON.stringify(await deployContracts(settings), null, 2))
}
