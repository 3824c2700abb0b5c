import type { Context } from 'hono'
import { SESSION_KEY } from '#core/account.ts'
import { DomainError } from '#core/errors.ts'
import type { Scope } from '#core/protocol.ts'
import { authenticate, isOperator, type Principal } from '../auth.ts'
import { type Env, networkOf } from '../env.ts'

export type AuthEnv = { Bindings: Env; Variables: { principal: Principal } }

/** Who may call: whoever has this scope, or only the owner in person, signed in. */
export type Access = Scope | 'session'

/** @throws DomainError when the caller is unknown or may not do this */
export async function admit(c: Context<AuthEnv>, access: Access): Promise<Principal> {
  const principal = await authenticate(networkOf(c.env), callOf(c), Date.now())
  if (access === 'session') {
    if (principal.key === SESSION_KEY) return principal
    throw new DomainError('forbidden', { detail: 'needs a sign-in, not an API key' })
  }
  if (principal.scopes.includes(access)) return principal
  throw new DomainError('forbidden', { detail: `needs the scope ${access}` })
}

/** Lets in whoever runs the network. @throws DomainError when it is somebody else */
export async function admitOperator(c: Context): Promise<void> {
  const network = networkOf(c.env)
  const call = callOf(c)
  if (isOperator(network, call.header)) return
  await authenticate(network, call, Date.now())
  throw new DomainError('forbidden', { detail: "needs the operator's token" })
}

const callOf = (c: Context) => ({ header: c.req.header('authorization'), url: c.req.url })
