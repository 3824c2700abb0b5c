/** What all pages share: the live network, the time by the edge's clock, who is at the keyboard, and their wallet. */
import { createContext } from 'svelte'
import type { OnChain } from '../chain/on-chain.svelte.ts'
import type { NetworkFeed } from '../feed/network-feed.svelte.ts'
import type { Session } from './session.svelte.ts'

export type Site = { feed: NetworkFeed; readonly now: number; session: Session; onChain: OnChain }

export const [getSite, setSite] = createContext<Site>()
