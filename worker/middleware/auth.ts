import type { Context } from 'hono'
import { SESSION_KEY } from '#core/account.ts'
import { DomainError } from '#core/errors.ts'
import type { Scope } from '#core/protocol/account.ts'
import { authenticate, isOperator, type Principal } from '../auth.ts'
import { type Env, networkOf } from '../env.ts'
import { countUnknown } from './rate-limit.ts'

export type AuthEnv = { Bindings: Env; Variables: { principal: Principal } }

/** Who may call: whoever has this scope, or only the owner in person, signed in. */
export type Access = Scope | 'session'

/** @throws DomainError when the caller is unknown or may not do this */
export async function admit(c: Context<AuthEnv>, access: Access): Promise<Principal> {
  const principal = await identify(c)
  if (access === 'session') {
    if (principal.key === SESSION_KEY) return principal
    throw new DomainError('forbidden', { detail: 'needs a sign-in, not an API key' })
  }
  if (principal.scopes.includes(access)) return principal
  throw new DomainError('forbidden', { detail: `needs the scope ${access}` })
}

/** Lets in whoever runs the network. @throws DomainError when it is somebody else */
export async function admitOperator(c: Context): Promise<void> {
  const header = c.req.header('authorization')
  if (header !== undefined && isOperator(networkOf(c.env), header)) return
  await identify(c)
  throw new DomainError('forbidden', { detail: "needs the operator's token" })
}

/** Calls that name nobody, or nobody we know, are counted by where they come from. */
async function identify(c: Context): Promise<Principal> {
  const header = c.req.header('authorization')
  try {
    return await authenticate(networkOf(c.env), { header, url: c.req.url }, Date.now())
  } catch (error) {
    countUnknown(c, 1)
    throw error
  }
}
