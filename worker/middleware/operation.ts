/** What a route declares of itself, once: what lets its calls in and parses them is what the API's document says of it. */
import type { Context, MiddlewareHandler } from 'hono'
import type * as z from 'zod'
import { DomainError, type ErrorCode } from '#core/errors.ts'
import type { TaskRequest } from '#core/request.ts'
import type { Env } from '../env.ts'
import { isPayable, takePayment } from '../payment.ts'
import { type Access, type AuthEnv, admit, admitOperator } from './auth.ts'
import { parse, readJson } from './body.ts'
import { countKnown, countUnknown } from './rate-limit.ts'

export type Operation = {
  summary: string
  /** What the summary leaves out. */
  details?: string
  access: 'anyone' | 'operator' | Access
  /** As how many calls one counts against the limits of calls; 1 unless told. */
  weight?: number
  /** What a handler takes by `c.req.valid('param')`, `('header')`, `('query')` and `('json')`. */
  params?: z.ZodObject
  /** Their names in lower case. */
  headers?: z.ZodObject
  query?: z.ZodObject
  body?: z.ZodType
  /** Bodies that are taken, by name. */
  examples?: Record<string, unknown>
  /** The media type of a body that the handler reads itself. */
  upload?: string
  /** The fields of a multipart form that the handler reads itself. */
  form?: z.ZodObject
  /** What is told with each status of success: JSON, bytes of a media type, or nothing. */
  answers?: Record<number, z.ZodType | string | null>
  /** The data of each server-sent event, where the answer is a stream of them. */
  events?: z.ZodType
  /** The text frames of the WebSocket that the answer is. */
  frames?: { up?: z.ZodType; down: z.ZodType }
  /** The tasks that a body asks for: with it, a call without credentials can be paid for by x402. */
  tasks?: (body: never) => TaskRequest[]
  /** The codes of errors beyond those that follow from the above. */
  errors?: readonly ErrorCode[]
}

type Target = { params: 'param'; headers: 'header'; query: 'query'; body: 'json' }
type Parts<O> = { [Part in keyof O & keyof Target as Target[Part]]: O[Part] extends z.ZodType ? O[Part] : never }
type Inputs<P> = { [T in keyof P]: z.input<P[T]> }
/** What a typed client passes; parts of which nothing is required may be left out. */
type Passed<I> = { [T in keyof I as object extends I[T] ? never : T]: I[T] } & {
  [T in keyof I as object extends I[T] ? T : never]?: I[T]
}
type Parsed<O> = {
  in: Passed<Inputs<Parts<O>>>
  out: { [T in keyof Parts<O>]: z.output<Parts<O>[T]> }
}
type EnvOf<O extends Operation> = O['access'] extends 'anyone' | 'operator' ? { Bindings: Env } : AuthEnv

const declared = new WeakMap<object, Operation>()

/** The declaration that a route's handler was made of, if it was. */
export const operationOf = (handler: object): Operation | undefined => declared.get(handler)

/** Lets in the calls that a route declares, parsed. */
export function operation<const O extends Operation>(
  declaration: O & { examples?: Record<string, O['body'] extends z.ZodType ? z.input<O['body']> : never> },
): MiddlewareHandler<EnvOf<O>, string, Parsed<O>> {
  const { access, weight = 1, params, headers, query, body, frames, tasks }: Operation = declaration
  const middleware: MiddlewareHandler<AuthEnv> = async (c, next) => {
    const paid = tasks !== undefined && isPayable(c)
    if (access === 'operator') await admitOperator(c)
    else if (access === 'anyone' || paid) countUnknown(c, weight)
    else {
      const principal = await admit(c, access)
      countKnown(c, principal, weight)
      c.set('principal', principal)
    }
    if (frames) mustUpgrade(c)
    if (params)
      c.req.addValidatedData(
        'param',
        parse(params, c.req.param(), () => undefined),
      )
    if (headers)
      c.req.addValidatedData(
        'header',
        parse(headers, headersOf(c, headers), () => undefined),
      )
    if (query)
      c.req.addValidatedData(
        'query',
        parse(query, c.req.query(), (issue) => `?${issue.path.join('.')}`),
      )
    if (body) c.req.addValidatedData('json', parse(body, await readJson(c)) as object)
    if (paid) c.set('principal', await takePayment(c, tasks(c.req.valid('json' as never))))
    await next()
  }
  declared.set(middleware, declaration)
  return middleware as MiddlewareHandler<EnvOf<O>, string, Parsed<O>>
}

function headersOf(c: Context, { shape }: z.ZodObject): Record<string, string | undefined> {
  return Object.fromEntries(Object.keys(shape).map((name) => [name, c.req.header(name)]))
}

function mustUpgrade(c: Context): void {
  if (c.req.header('upgrade')?.toLowerCase() !== 'websocket') throw new DomainError('upgrade_required')
}
