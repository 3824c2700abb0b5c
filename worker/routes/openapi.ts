/** The API's document, OpenAPI 3.1, made of what the routes declare. */
import type { RouterRoute } from 'hono/types'
import * as z from 'zod'
import { DomainError, ERRORS, type ErrorCode } from '#core/errors.ts'
import { LaneDemand } from '#core/lane.ts'
import { PROTOCOL_VERSION } from '#core/protocol/values.ts'
import { WebhookHeaders, WebhookMessage } from '#core/webhook.ts'
import { type Operation, operationOf } from '../middleware/operation.ts'
import { openAiRoute, refusalOf } from '../middleware/problem.ts'

type Json = { [name: string]: unknown }

const CODES = Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]

const Problem = z
  .object({
    type: z.string(),
    title: z.string().describe('What happened.'),
    status: z.int(),
    code: z.enum(CODES).describe('Stable: what a program decides by.'),
    detail: z.string().exactOptional(),
    hint: z.string().describe('What to do about it.'),
    pointer: z.string().exactOptional().describe('JSON pointer to the field of the body, or `?` and a parameter.'),
    retryAfterSeconds: z.number().exactOptional(),
    lane: LaneDemand.exactOptional(),
    requestId: z.string(),
  })
  .meta({ id: 'Problem', description: 'Problem details, RFC 9457.' })

const OpenAiError = z
  .object({
    error: z.object({
      message: z.string(),
      type: z.string(),
      code: z.string(),
      param: z.string().nullable(),
      lane: LaneDemand.exactOptional(),
    }),
  })
  .meta({ id: 'OpenAiError', description: "An error as OpenAI's clients read it." })

export const OpenApi = z.looseObject({ openapi: z.string(), info: z.looseObject({}), paths: z.looseObject({}) })
export type OpenApi = z.output<typeof OpenApi>

/** Of the examples. */
const REQUEST_ID = '00000000-0000-4000-8000-000000000000'

const SECURITY = {
  apiKey: { type: 'http', scheme: 'bearer', bearerFormat: 'dk_...', description: 'An API key, made by POST /v1/keys.' },
  session: { type: 'http', scheme: 'bearer', description: 'The token of a sign-in, made by POST /v1/sign-in.' },
  operator: { type: 'http', scheme: 'bearer', description: "The operator's token, a secret of the edge." },
}

/** Which routes belong together, by the first part of their paths. */
const TAGS = [
  {
    name: 'tasks',
    description: 'Submit work, know its price beforehand, and follow it.',
    of: ['tasks', 'quote', 'blobs', 'webhooks'],
  },
  {
    name: 'openai',
    description: "The same tasks in the shapes of OpenAI's API, for clients that speak it.",
    of: ['models', 'chat', 'completions', 'embeddings', 'files', 'batches'],
  },
  { name: 'provider', description: 'Offer models, take leases, deliver results.', of: ['provider', 'leases'] },
  { name: 'account', description: 'Sign in, tokens and API keys.', of: ['sign-in', 'account', 'keys'] },
  {
    name: 'network',
    description: 'What everybody may see.',
    of: ['network', 'providers', 'forecast', 'reputations', 'exports', 'log', 'health', 'openapi.json'],
  },
  { name: 'operator', description: 'For whoever runs the network.', of: ['operator'] },
]

const REASONS: Record<number, string> = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  204: 'No content',
  503: 'Not ready',
}

/** @returns the declared routes of an app as one document; an undeclared one is not in it */
export function toOpenApi(routes: RouterRoute[]): OpenApi {
  const schemas: Json = {}
  const paths: Record<string, Json> = {}
  for (const { method, path, handler } of routes) {
    const operation = operationOf(handler)
    if (!operation) continue
    const template = templateOf(path)
    paths[template] = { ...paths[template], [method.toLowerCase()]: describe(method, template, operation, schemas) }
  }
  const document = {
    openapi: '3.1.1',
    info: {
      title: 'DAICN',
      version: String(PROTOCOL_VERSION),
      description: 'An open market for AI compute: submit tasks, provide work, watch the network.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    tags: TAGS.map(({ name, description }) => ({ name, description })),
    paths,
    webhooks: { 'task.ended': { post: webhook(schemas) } },
    components: { schemas, securitySchemes: SECURITY, examples: errorExamples() },
  }
  // Schemas with a name refer to each other where they were converted; here they stand in one place.
  return JSON.parse(JSON.stringify(document).replaceAll('"#/$defs/', '"#/components/schemas/'))
}

/** A route's path as OpenAPI writes it. */
export const templateOf = (path: string): string => path.replaceAll(/:(\w+)(\{[^}]*\})?/g, '{$1}')

function describe(method: string, path: string, operation: Operation, schemas: Json): Json {
  const { summary, details, access, params, headers, query, body, examples, upload, form } = operation
  const own = path.split('/').slice(2)
  return {
    operationId: [method, ...own].join('_').toLowerCase().replaceAll(/\W+/g, ''),
    tags: [TAGS.find(({ of }) => of.includes(own[0]!))?.name ?? own[0]],
    summary,
    ...(details && { description: details }),
    security: securityOf(access),
    parameters: [...pathParameters(path, params), ...parameters('query', query), ...parameters('header', headers)],
    ...(body && {
      requestBody: {
        required: true,
        content: {
          'application/json': {
            schema: toSchema(body, 'input', schemas),
            ...(examples && { examples: mapValues(examples, (value) => ({ value })) }),
          },
        },
      },
    }),
    ...(upload && { requestBody: { required: true, content: { [upload]: {} } } }),
    ...(form && {
      requestBody: {
        required: true,
        content: { 'multipart/form-data': { schema: toSchema(form, 'input', schemas) } },
      },
    }),
    responses: { ...answers(operation, schemas), ...refusals(path, operation, schemas) },
  }
}

/** What an endpoint is told; it is signed, and tried again until it answers with success. */
function webhook(schemas: Json): Json {
  return {
    operationId: 'webhook_task_ended',
    tags: ['tasks'],
    summary: 'A task that named this endpoint has ended',
    description: 'Signed by Standard Webhooks. Any answer but success is followed by further attempts, over 18 hours.',
    security: [],
    parameters: parameters('header', WebhookHeaders),
    requestBody: {
      required: true,
      content: { 'application/json': { schema: toSchema(WebhookMessage, 'output', schemas) } },
    },
    responses: { '2XX': { description: 'Taken: it is not sent again' } },
  }
}

function securityOf(access: Operation['access']): Record<string, string[]>[] {
  if (access === 'anyone') return []
  if (access === 'session' || access === 'operator') return [{ [access]: [] }]
  return [{ apiKey: [access] }, { session: [] }]
}

/** Every parameter that a path names; one that is not declared is any text. */
function pathParameters(path: string, params: z.ZodObject | undefined): Json[] {
  const known = parameters('path', params)
  return [...path.matchAll(/\{(\w+)\}/g)].map(
    ([, name]) =>
      known.find((one) => one.name === name) ?? { name, in: 'path', required: true, schema: { type: 'string' } },
  )
}

function parameters(where: 'path' | 'query' | 'header', schema: z.ZodObject | undefined): Json[] {
  if (!schema) return []
  const { properties = {}, required = [] } = toSchema(schema, 'input', {}) as { properties?: Json; required?: string[] }
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...rest } = property as Json
    return {
      name,
      in: where,
      required: required.includes(name),
      ...(description !== undefined && { description }),
      schema: rest,
    }
  })
}

function answers({ answers = {}, events, frames }: Operation, schemas: Json): Json {
  const told = Object.entries(answers).map(([status, answer]) => {
    const content =
      answer === null
        ? {}
        : typeof answer === 'string'
          ? { [answer]: {} }
          : { 'application/json': { schema: toSchema(answer, 'output', schemas) } }
    return [status, { description: REASONS[Number(status)] ?? 'Done', ...(answer !== null && { content }) }] as const
  })
  const responses: Record<string, { description: string; content?: Json }> = Object.fromEntries(told)
  if (events) {
    const description = 'Server-sent events as `x-events` says; a `type` stands in `event`, the rest in `data`.'
    const schema = { type: 'string', description, 'x-events': toSchema(events, 'output', schemas) }
    responses[200] = {
      description: REASONS[200]!,
      ...responses[200],
      content: { ...responses[200]?.content, 'text/event-stream': { schema } },
    }
  }
  if (frames) {
    const { up, down } = frames
    const shapes = { ...(up && { up: toSchema(up, 'input', schemas) }), down: toSchema(down, 'output', schemas) }
    return {
      ...responses,
      101: { description: 'A WebSocket of text frames, JSON as `x-frames` says', 'x-frames': shapes },
    }
  }
  return responses
}

/** Every code that a route can give, by its status. */
function refusals(path: string, operation: Operation, schemas: Json): Json {
  const shape = shapeOf(path)
  const all = errorsOf(operation).map((name) => ({ name, ...refusalOf(path, new DomainError(name), REQUEST_ID) }))
  const byStatus = Object.groupBy(all, ({ status }) => status) as Record<string, typeof all>
  return mapValues(byStatus, (refusals) => {
    const code = { type: 'string', enum: [...new Set(refusals.map(({ code }) => code))] }
    const own = { type: 'object', properties: { code } }
    const [schema, narrowed] =
      shape === 'openai' ? [OpenAiError, { type: 'object', properties: { error: own } }] : [Problem, own]
    return {
      description: refusals.map(({ name, code }) => `\`${code}\`: ${ERRORS[name][1]}.`).join(' '),
      content: {
        [refusals[0]!.type]: {
          schema: { allOf: [toSchema(schema, 'output', schemas), narrowed] },
          examples: Object.fromEntries(
            refusals.map(({ name, code }) => [code, { $ref: `#/components/examples/${shape}_${name}` }]),
          ),
        },
      },
    }
  })
}

const shapeOf = (path: string): 'problem' | 'openai' => (openAiRoute(path) === undefined ? 'problem' : 'openai')

/** The codes that a call of an operation can be refused with. */
function errorsOf({ access, params, headers, query, body, upload, form, frames, errors = [] }: Operation): ErrorCode[] {
  const codes: ErrorCode[] = [...errors, 'internal']
  if (access !== 'operator') codes.push('rate_limited')
  if (access !== 'anyone') codes.push('missing_credentials', 'invalid_credentials', 'expired_token', 'forbidden')
  if (params || headers || query || body || form) codes.push('invalid_request')
  if (body) codes.push('malformed_json')
  if (body || form) codes.push('unsupported_media_type')
  if (body || upload || form) codes.push('body_too_large')
  if (frames) codes.push('upgrade_required')
  return [...new Set(codes)]
}

/** One of each error in each shape, as the Worker words it. */
function errorExamples(): Json {
  const paths = { problem: '/v1/tasks', openai: '/v1/embeddings' }
  return Object.fromEntries(
    CODES.flatMap((code) =>
      Object.entries(paths).map(([shape, path]) => {
        const { body } = refusalOf(path, new DomainError(code), REQUEST_ID)
        return [`${shape}_${code}`, { summary: ERRORS[code][1], value: body }]
      }),
    ),
  )
}

/** A schema as JSON Schema. Those with a name go to `schemas`, once; the same name must mean the same. */
function toSchema(schema: z.ZodType, io: 'input' | 'output', schemas: Json): Json {
  const { $schema: _, $defs = {}, ...own } = z.toJSONSchema(schema, { io, target: 'draft-2020-12' })
  for (const [name, named] of Object.entries($defs)) {
    const known = schemas[name]
    if (known && JSON.stringify(known) !== JSON.stringify(named)) throw new Error(`two schemas are named ${name}`)
    schemas[name] = named
  }
  return own
}

const mapValues = <T, R>(record: Record<string, T>, map: (value: T) => R): Record<string, R> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]))
