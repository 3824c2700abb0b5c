/** What all pages share: the live network, the time by the edge's clock, and who is at the keyboard. */
import { createContext } from 'svelte'
import type { NetworkFeed } from '../feed/network-feed.svelte.ts'
import type { Session } from './session.svelte.ts'

export type Site = { feed: NetworkFeed; readonly now: number; session: Session }

export const [getSite, setSite] = createContext<Site>()
