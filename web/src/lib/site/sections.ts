import type { RouteId } from '$app/types'

export type Section = {
  path: Exclude<RouteId, null | '/guide/[name]'> | '/guide/client'
  label: string
  within?: RouteId
}

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
  { path: '/guide/client', label: 'Docs', within: '/guide/[name]' },
  { path: '/docs', label: 'API' },
]
