/** The chains that a network can settle on. */

export type ChainSetting = {
  id: number
  /** A public node: rate-limited, for people and first steps. */
  rpc: string
  explorer: string | null
  /** What is paid for data on layer 1: apart from the gas (core/l1-fee.ts), within the gas, or nothing. */
  dataFee: 'op-stack' | 'in-gas' | 'none'
  /** Blocks above a deposit before it counts, some 24 seconds of them. */
  confirmations: number
  /** Its ether is worth nothing. */
  test: boolean
}

/** By the name that scripts/deploy-contracts.ts takes. */
export const CHAINS: Record<string, ChainSetting> = {
  local: {
    id: 31_337,
    rpc: 'http://127.0.0.1:8545',
    explorer: null,
    dataFee: 'none',
    confirmations: 0,
    test: true,
  },
  base: {
    id: 8453,
    rpc: 'https://mainnet.base.org',
    explorer: 'https://basescan.org',
    dataFee: 'op-stack',
    confirmations: 12,
    test: false,
  },
  'base-sepolia': {
    id: 84_532,
    rpc: 'https://sepolia.base.org',
    explorer: 'https://sepolia.basescan.org',
    dataFee: 'op-stack',
    confirmations: 12,
    test: true,
  },
  op: {
    id: 10,
    rpc: 'https://mainnet.optimism.io',
    explorer: 'https://optimistic.etherscan.io',
    dataFee: 'op-stack',
    confirmations: 12,
    test: false,
  },
  'op-sepolia': {
    id: 11_155_420,
    rpc: 'https://sepolia.optimism.io',
    explorer: 'https://optimism-sepolia.blockscout.com',
    dataFee: 'op-stack',
    confirmations: 12,
    test: true,
  },
  arbitrum: {
    id: 42_161,
    rpc: 'https://arb1.arbitrum.io/rpc',
    explorer: 'https://arbiscan.io',
    dataFee: 'in-gas',
    confirmations: 96,
    test: false,
  },
  'arbitrum-sepolia': {
    id: 421_614,
    rpc: 'https://sepolia-rollup.arbitrum.io/rpc',
    explorer: 'https://sepolia.arbiscan.io',
    dataFee: 'in-gas',
    confirmations: 96,
    test: true,
  },
}

/** Undefined for a chain that is not in the table. */
export const chainOfId = (id: number): ChainSetting | undefined =>
  Object.values(CHAINS).find((chain) => chain.id === id)
