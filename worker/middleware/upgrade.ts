import { createMiddleware } from 'hono/factory'
import { DomainError } from '#core/errors.ts'

/** Lets in only requests that ask for a WebSocket. */
export const upgrade = createMiddleware(async (c, next) => {
  if (c.req.header('upgrade')?.toLowerCase() !== 'websocket') throw new DomainError('upgrade_required')
  await next()
})
