import type { RouteId } from '$app/types'

export type Section = { path: Exclude<RouteId, null>; label: string; within?: RouteId }

/** The site's sections in the order of its navigation; `within` is a page that belongs to one. */
export const SECTIONS: Section[] = [
  { path: '/', label: 'Overview' },
  { path: '/playground', label: 'Playground' },
  { path: '/tasks', label: 'Tasks', within: '/task' },
  { path: '/providers', label: 'Providers', within: '/provider' },
  { path: '/market', label: 'Market' },
  { path: '/provide', label: 'Provide' },
  { path: '/account', label: 'Account' },
  { path: '/governance', label: 'Governance' },
  { path: '/docs', label: 'API' },
]
