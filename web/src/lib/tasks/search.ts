import type { TaskSummary } from '#core/protocol/network.ts'

/** Those that have every word of `query` in their id, model, kind or provider. */
export function searchTasks(tasks: readonly TaskSummary[], query: string): readonly TaskSummary[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  if (words.length === 0) return tasks
  return tasks.filter(({ id, model, kind, provider = '' }) => {
    const hay = [id, model, kind, provider].join('\n').toLowerCase()
    return words.every((word) => hay.includes(word))
  })
}
