import { beforeAll, expect, test } from 'vitest'
import * as z from 'zod'
import { app } from '#worker/app.ts'
import { operationOf } from '#worker/middleware/operation.ts'
import { templateOf } from '#worker/routes/openapi.ts'
import { answerFaults } from '../support/contract.ts'
import { person, send } from '../support/network.ts'

/* OpenAPI 3.1.1, as far as the document makes use of it: https://spec.openapis.org/oas/v3.1.1.html */

const Reference = z.strictObject({ $ref: z.string() })
/** A schema's own keywords are held by what is parsed with it. */
const Schema = z.looseObject({})
const Example = z.union([Reference, z.strictObject({ summary: z.string().optional(), value: z.unknown() })])
const Content = z.record(
  z.string().regex(/^[\w*.+-]+\/[\w*.+-]+$/),
  z.strictObject({ schema: Schema.optional(), examples: z.record(z.string(), Example).optional() }),
)
const Parameter = z.strictObject({
  name: z.string(),
  in: z.enum(['path', 'query', 'header']),
  required: z.boolean(),
  description: z.string().optional(),
  schema: Schema,
})
const Answer = z.strictObject({
  description: z.string().min(1),
  content: Content.optional(),
  'x-frames': z.strictObject({ up: Schema.optional(), down: Schema }).optional(),
})
const Operation = z.strictObject({
  operationId: z.string().regex(/^[a-z0-9_]+$/),
  tags: z.tuple([z.string()]),
  summary: z.string().min(1),
  description: z.string().optional(),
  security: z.array(z.partialRecord(z.enum(['apiKey', 'session', 'operator']), z.array(z.string()))),
  parameters: z.array(Parameter),
  requestBody: z.strictObject({ required: z.literal(true), content: Content }).optional(),
  responses: z.record(z.string().regex(/^[1-5]\d\d$/), Answer),
})
const Document = z.strictObject({
  openapi: z.literal('3.1.1'),
  info: z.strictObject({
    title: z.string(),
    version: z.string(),
    description: z.string(),
    license: z.strictObject({ name: z.string(), identifier: z.string() }),
  }),
  servers: z.array(z.strictObject({ url: z.string() })),
  tags: z.array(z.strictObject({ name: z.string(), description: z.string() })),
  paths: z.record(z.string().startsWith('/v1/'), z.partialRecord(z.enum(['get', 'post', 'put', 'delete']), Operation)),
  webhooks: z.strictObject({
    'task.ended': z.strictObject({ post: Operation.extend({ responses: z.strictObject({ '2XX': Answer }) }) }),
  }),
  components: z.strictObject({
    schemas: z.record(z.string().regex(/^[\w.-]+$/), Schema),
    securitySchemes: z.record(
      z.enum(['apiKey', 'session', 'operator']),
      z.strictObject({
        type: z.literal('http'),
        scheme: z.literal('bearer'),
        bearerFormat: z.string().optional(),
        description: z.string(),
      }),
    ),
    examples: z.record(z.string(), Example),
  }),
})
type Document = z.output<typeof Document>

let document: Document
let operations: [path: string, method: string, operation: z.output<typeof Operation>][]

beforeAll(async () => {
  const { status, body, headers } = await send('GET', '/v1/openapi.json')
  expect(status).toBe(200)
  expect(headers.get('content-type')).toBe('application/json')
  document = Document.parse(body)
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => [path, method, operation] as (typeof operations)[number]),
  )
})

test('every route is in the document, and nothing else is', () => {
  const routes = new Set(app.routes.map(({ method, path }) => `${method} ${templateOf(path)}`))
  const described = operations.map(([path, method]) => `${method.toUpperCase()} ${path}`)
  expect(described.toSorted()).toEqual([...routes].sort())
})

test('operations have names of their own', () => {
  const ids = operations.map(([, , { operationId }]) => operationId)
  expect(new Set(ids).size).toBe(ids.length)
})

test('the parameters of a path are those in its braces, and no parameter is there twice', () => {
  for (const [path, , { parameters }] of operations) {
    const inPath = parameters.filter((one) => one.in === 'path')
    expect(inPath.map(({ name }) => `{${name}}`)).toEqual(path.match(/\{\w+\}/g) ?? [])
    expect(inPath.every(({ required }) => required)).toBe(true)
    expect(new Set(parameters.map((one) => `${one.in} ${one.name}`)).size).toBe(parameters.length)
  }
})

test('every reference leads to something', () => {
  const references = JSON.stringify(document).match(/(?<="\$ref":")[^"]+/g)!
  expect(references.length).toBeGreaterThan(0)
  for (const reference of new Set(references)) {
    const found = reference
      .replace(/^#\//, '')
      .split('/')
      .reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], document)
    expect(found, reference).toBeTypeOf('object')
  }
})

test('every example of an error is one', async () => {
  for (const [path, method, { responses }] of operations) {
    for (const [status, { content = {} }] of Object.entries(responses)) {
      for (const [type, { examples = {} }] of Object.entries(content)) {
        for (const [name, example] of Object.entries(examples)) {
          const { $ref } = Reference.parse(example)
          const { value } = document.components.examples[$ref.split('/').at(-1)!] as { value: unknown }
          const answer = Response.json(value, { status: Number(status), headers: { 'content-type': type } })
          expect(await answerFaults(method, path, answer), name).toEqual([])
        }
      }
    }
  }
})

test('every example of a body is taken', async () => {
  // Whoever has no money is refused for that alone, so that no call waits for its task.
  const { token } = await person()
  const examples = app.routes.flatMap(({ method, path, handler }) =>
    Object.entries(operationOf(handler)?.examples ?? {}).map(([name, body]) => ({ method, path, name, body })),
  )
  expect(examples.length).toBeGreaterThan(5)
  for (const { method, path, name, body } of examples) {
    const reply = await send(method, path.replace(/:\w+/, 'c1-000000000abcdefgh.1'), { token, body })
    expect([400, 413, 415, 422], `${path} ${name}: ${JSON.stringify(reply.body)}`).not.toContain(reply.status)
  }
})

test('what is not as declared is told', async () => {
  const problem = { code: 'task_not_found', hint: 'h', requestId: 'r', status: 404, title: 't', type: 'u' }
  const json = (value: unknown, init?: ResponseInit) => Response.json(value, init)
  const asProblem = { status: 404, headers: { 'content-type': 'application/problem+json' } }
  const faultsOf = (response: Response) => answerFaults('GET', '/v1/tasks/c1-x', response)
  expect(await faultsOf(json(problem, asProblem))).toEqual([])
  for (const wrong of [
    json({}),
    json({ ...problem }, { status: 404 }),
    json({ ...problem, code: 'not_registered' }, asProblem),
    json({ ...problem, more: 1 }, asProblem),
    json({}, { status: 201 }),
    new Response('text'),
  ]) {
    expect(await faultsOf(wrong)).toHaveLength(1)
  }
  const events = 'event: status\ndata: {"status":"lost","at":1}\n\nevent: status\ndata: {"status":"queued","at":1}\n\n'
  const stream = new Response(events, { headers: { 'content-type': 'text/event-stream' } })
  expect(await answerFaults('GET', '/v1/tasks/c1-x/events', stream)).toHaveLength(1)
  expect(await answerFaults('GET', '/v1/nothing', json({}))).toHaveLength(1)
})
