import type { ModelView } from '#core/protocol/model.ts'
import type { Kind } from '#core/protocol/work.ts'

/** The models of a kind that somebody offers now first, then those that nobody does; by name. */
export function modelsOf(models: readonly ModelView[], kind: Kind): ModelView[] {
  const ofKind = models.filter((model) => model.kind === kind)
  return ofKind.toSorted((a, b) => Number(b.providers > 0) - Number(a.providers > 0) || (a.id < b.id ? -1 : 1))
}

/** The model that was chosen, as long as it is listed; else the first. */
export const modelOf = (models: readonly ModelView[], chosen: string): string =>
  models.some(({ id }) => id === chosen) ? chosen : (models[0]?.id ?? '')
