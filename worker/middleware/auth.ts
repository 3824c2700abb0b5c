import { createMiddleware } from 'hono/factory'
import { SESSION_KEY } from '#core/account.ts'
import { DomainError } from '#core/errors.ts'
import type { Scope } from '#core/protocol.ts'
import { authenticate, type Principal } from '../auth.ts'
import { type Env, networkOf } from '../env.ts'

export type AuthEnv = { Bindings: Env; Variables: { principal: Principal } }

/** Lets in whoever has this scope. */
export const scope = (needed: Scope) =>
  createMiddleware<AuthEnv>(async (c, next) => {
    const principal = await authenticate(networkOf(c.env), c.req.header('authorization'), Date.now())
    if (!principal.scopes.includes(needed)) throw new DomainError('forbidden', { detail: `needs the scope ${needed}` })
    c.set('principal', principal)
    await next()
  })

/** Lets in only the owner in person, signed in: for providers, and for what keys must not do, such as making keys. */
export const signedIn = createMiddleware<AuthEnv>(async (c, next) => {
  const principal = await authenticate(networkOf(c.env), c.req.header('authorization'), Date.now())
  if (principal.key !== SESSION_KEY) throw new DomainError('forbidden', { detail: 'needs a sign-in, not an API key' })
  c.set('principal', principal)
  await next()
})
