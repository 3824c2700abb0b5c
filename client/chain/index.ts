/** The package's `daicn/chain`: a network's contracts, by a node and a key of one's own. */
// biome-ignore-start lint/performance/noBarrelFile: what the package exports is in one place
// biome-ignore-start lint/performance/noReExportAll: every file beside it has its own names
export * from './accounts.ts'
export { type Chain, type ChainSettings, chainTime, openChain, type Sent, type Wallet } from './chain.ts'
export * from './court.ts'
export * from './governance.ts'
export * from './root.ts'
export * from './stake.ts'
export { tokensOf, transfer } from './token.ts'
// biome-ignore-end lint/performance/noReExportAll: every file beside it has its own names
// biome-ignore-end lint/performance/noBarrelFile: what the package exports is in one place
