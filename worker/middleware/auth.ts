import type { Context } from 'hono'
import { SESSION_KEY } from '#core/account.ts'
import { DomainError } from '#core/errors.ts'
import type { Scope } from '#core/protocol.ts'
import { authenticate, type Principal } from '../auth.ts'
import { type Env, networkOf } from '../env.ts'

export type AuthEnv = { Bindings: Env; Variables: { principal: Principal } }

/** Who may call: whoever has this scope, or only the owner in person, signed in. */
export type Access = Scope | 'session'

/** @throws DomainError when the caller is unknown or may not do this */
export async function admit(c: Context<AuthEnv>, access: Access): Promise<Principal> {
  const principal = await authenticate(networkOf(c.env), c.req.header('authorization'), Date.now())
  if (access === 'session') {
    if (principal.key === SESSION_KEY) return principal
    throw new DomainError('forbidden', { detail: 'needs a sign-in, not an API key' })
  }
  if (principal.scopes.includes(access)) return principal
  throw new DomainError('forbidden', { detail: `needs the scope ${access}` })
}
