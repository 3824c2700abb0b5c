import type { Region } from '#core/protocol/values.ts'

const NAMES: Record<Region, string> = {
  wnam: 'North America, west',
  enam: 'North America, east',
  sam: 'South America',
  weur: 'Western Europe',
  eeur: 'Eastern Europe',
  apac: 'Asia-Pacific',
  oc: 'Oceania',
  afr: 'Africa',
  me: 'Middle East',
}

export function regionName(region: Region | undefined): string {
  if (region === undefined) return 'unknown'
  return Object.hasOwn(NAMES, region) ? NAMES[region] : region
}

export const REGIONS = Object.keys(NAMES) as Region[]
