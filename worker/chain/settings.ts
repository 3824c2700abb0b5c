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
  /** Posts roots of the public log; a secret. */
  posterKey: `0x${string}` | null
}

export type ChainVariables = {
  DEPLOYMENT: string
  CONFIRMATIONS: string
  PUBLIC_RPC_URL: string
  RPC_URL?: string
  POSTER_KEY?: string
}

/** Null without a deployment. Throws what the operator must mend. */
export function chainSettings(chainId: number, variables: ChainVariables): ChainSettings | null {
  const { DEPLOYMENT, CONFIRMATIONS, PUBLIC_RPC_URL, RPC_URL, POSTER_KEY } = variables
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
  if (POSTER_KEY && !isKey(POSTER_KEY)) throw new Error('POSTER_KEY is not a private key: 0x and 64 hexadecimal digits')
  const posterKey = POSTER_KEY && isKey(POSTER_KEY) ? POSTER_KEY : null
  return { deployment, rpc: RPC_URL, publicRpc: PUBLIC_RPC_URL || null, confirmations, posterKey }
}

const isKey = (text: string): text is `0x${string}` => /^0x[0-9a-fA-F]{64}$/.test(text)
