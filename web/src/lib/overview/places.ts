/** Where the active providers of each class of work are. Pure. */
import type { ProviderSummary } from '#core/protocol/network.ts'
import type { Region } from '#core/protocol/values.ts'
import type { Kind } from '#core/protocol/work.ts'

export type Place = { region: Region | undefined; providers: number }
export type ClassPlaces = { kind: Kind; model: string; providers: number; places: Place[] }

/** The class of most providers first, and in it the region of most. */
export function placesOf(providers: readonly ProviderSummary[]): ClassPlaces[] {
  const classes = new Map<string, ClassPlaces>()
  for (const { active, region, offers } of providers) {
    if (!active) continue
    for (const { kind, model } of offers) {
      const name = `${kind} ${model}`
      const found = classes.get(name) ?? { kind, model, providers: 0, places: [] }
      classes.set(name, found)
      const place = found.places.find((one) => one.region === region)
      if (place) place.providers++
      else found.places.push({ region, providers: 1 })
      found.providers++
    }
  }
  const most = (x: { providers: number }, y: { providers: number }) => y.providers - x.providers
  for (const { places } of classes.values()) places.sort(most)
  return [...classes.values()].sort(most)
}
