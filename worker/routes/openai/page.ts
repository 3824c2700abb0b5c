import type { PageQuery } from '#core/batch.ts'

/** The part of a list, latest first, that a request asks for. */
export function pageOf<T extends { id: string }>({ after, limit = 20 }: PageQuery, all: T[]) {
  const from = after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1
  const data = all.slice(from, from + limit)
  return {
    object: 'list' as const,
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: from + limit < all.length,
  }
}
