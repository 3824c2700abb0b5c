/** The site's sections in the order of its navigation. */
export const SECTIONS = [
  { path: '/', label: 'Overview' },
  { path: '/playground', label: 'Playground' },
  { path: '/docs', label: 'API' },
] as const
