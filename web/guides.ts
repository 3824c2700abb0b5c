/** The guides of the site: files of docs/, in the order of their list. */
export const GUIDES = [
  { name: 'client', label: 'Start' },
  { name: 'provider', label: 'Provide' },
  { name: 'trust', label: 'Trust' },
  { name: 'forecast', label: 'Forecasts' },
  { name: 'protocol', label: 'Protocol' },
  { name: 'security', label: 'Security' },
  { name: 'operations', label: 'Operations' },
] as const

/** A link of docs/ as the site has it: to another guide, a part of the same, or elsewhere; null for other files of the repository. */
export function guideLink(href: string): string | null {
  if (/^(https?:|#)/.test(href)) return href
  const [file = '', part] = href.split('#')
  const guide = GUIDES.find(({ name }) => file === `${name}.md`)
  return guide ? `/guide/${guide.name}${part ? `#${part}` : ''}` : null
}
