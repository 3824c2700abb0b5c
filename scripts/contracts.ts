/** What forge made of the contracts. */
import { readFile } from 'node:fs/promises'
import type { Abi, Hex } from 'viem'
import { inRoot } from './paths.ts'

/** The contracts that are deployed. */
export const CONTRACTS = [
  'DaicnToken',
  'DaicnSettlement',
  'Parameters',
  'ProviderRegistry',
  'DisputeCourt',
  'ReceiptLog',
  'DaicnTimelock',
  'DaicnGovernor',
] as const

export type ContractName = (typeof CONTRACTS)[number]

/** A contract's interface and its creation code. Needs `buildContracts` to have run. */
export async function artifactOf(name: string): Promise<{ abi: Abi; bytecode: Hex }> {
  const { abi, bytecode } = JSON.parse(await readFile(inRoot(`contracts/out/${name}.sol/${name}.json`), 'utf8'))
  return { abi, bytecode: bytecode.object }
}
