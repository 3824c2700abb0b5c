import type { Context } from 'hono'
import { DomainError } from '#core/errors.ts'

/** The part of a list, latest first, that a request asks for by `after` and `limit`. */
export function pageOf<T extends { id: string }>(c: Context, all: T[]) {
  const limit = Number(c.req.query('limit') ?? 20)
  if (!Number.isInteger(limit) || limit < 1 || limit > 10_000)
    throw new DomainError('invalid_request', { detail: 'limit must be a number from 1 to 10,000', pointer: '/limit' })
  const after = c.req.query('after')
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
