/** Where the network's money is, from the Worker's settings. */
import { Deployment } from '#core/deployment.ts'

export type ChainSettings = {
  deployment: Deployment
  /** The edge's own RPC, which is a secret. */
  rpc: string
  /** One that clients may use. */
  publicRpc: string | null
  /** Blocks above a log before it counts. */
  confirmations: number
}

export type ChainVariables = {
  DEPLOYMENT: string
  CONFIRMATIONS: string
  PUBLIC_RPC_URL: string
  RPC_URL?: string
}

/** Null without a deployment. Throws what the operator must mend. */
export function chainSettings(chainId: number, variables: ChainVariables): ChainSettings | null {
  const { DEPLOYMENT, CONFIRMATIONS, PUBLIC_RPC_URL, RPC_URL } = variables
  if (DEPLOYMENT === '') return null
  const deployment = Deployment.parse(JSON.parse(DEPLOYMENT))
  if (deployment.chainId !== chainId) {
    throw new Error(`DEPLOYMENT is on chain ${deployment.chainId}, and CHAIN_ID is ${chainId}`)
  }
  const confirmations = Number(CONFIRMATIONS)
  if (!Number.isSafeInteger(confirmations) || confirmations < 0) {
    throw new Error(`CONFIRMATIONS is not a number of blocks: ${CONFIRMATIONS}`)
  }
  if (!RPC_URL) throw new Error('RPC_URL must be set where there is a DEPLOYMENT: wrangler secret put RPC_URL')
  return { deployment, rpc: RPC_URL, publicRpc: PUBLIC_RPC_URL || null, confirmations }
}
