/** Holds what the Worker answers against its OpenAPI document: an answer that is not as declared fails the test that got it. */
import { afterEach, expect } from 'vitest'
import * as z from 'zod'
import { app } from '#worker/app.ts'
import { operationOf } from '#worker/middleware/operation.ts'
import { templateOf, toOpenApi } from '#worker/routes/openapi.ts'

type Schema = z.core.JSONSchema.BaseSchema & { allOf?: Schema[] }
type Media = { schema?: Schema & { 'x-events'?: Schema } }
type Answer = { content?: Record<string, Media>; 'x-frames'?: { down: Schema } }
type Operation = { operationId: string; responses: Record<string, Answer> }
type Document = { paths: Record<string, Record<string, Operation>>; components: { schemas: Record<string, Schema> } }

/** The document, its references as zod reads them. */
const document = JSON.parse(
  JSON.stringify(toOpenApi(app.routes)).replaceAll('"#/components/schemas/', '"#/$defs/'),
) as Document

const faults: string[] = []
afterEach(() => {
  expect(faults.splice(0), 'answers that are not as /v1/openapi.json declares them').toEqual([])
})

/** Looks at an answer as it passes. */
export const checkAnswer = (method: string, path: string, response: Response): Promise<Response> =>
  checked(method, path, response, (fault) => void faults.push(fault))

/** What of an answer is not as declared. */
export async function answerFaults(method: string, path: string, response: Response): Promise<string[]> {
  const found: string[] = []
  const passed = await checked(method, path, response, (fault) => void found.push(fault))
  await passed.arrayBuffer()
  return found
}

async function checked(
  method: string,
  path: string,
  response: Response,
  tell: (fault: string) => void,
): Promise<Response> {
  // A browser's question before a call is answered for all routes alike.
  if (method === 'OPTIONS' && response.status === 204) return response
  const operation = operationAt(method, path)
  const fault = (what: string) => tell(`${method} ${path} answered ${response.status}: ${what}`)
  if (!operation) {
    if (response.status !== 404 && response.status !== 405) fault('there is no such operation')
    return response
  }
  const declared = operation.responses[response.status]
  if (!declared) {
    fault(`the status is not declared; ${await response.clone().text()}`)
    return response
  }
  if (response.status === 101) return response
  if (!declared.content) {
    if (response.body) fault('a body is not declared')
    return response
  }
  const type = response.headers.get('content-type')?.split(';')[0]
  const media = declared.content[type ?? ''] ?? declared.content['*/*']
  if (!media) fault(`the content type ${type} is not declared`)
  else if (media.schema?.['x-events']) return eventsChecked(response, media.schema['x-events'], fault)
  else if (media.schema) check(media.schema, await response.clone().json(), fault)
  return response
}

/** Looks at a frame of a WebSocket that a GET of this path opened. */
export function checkFrame(path: string, frame: unknown): void {
  const { down } = operationAt('GET', path)!.responses[101]!['x-frames']!
  check(down, frame, (what) => void faults.push(`a frame of ${path}: ${what}`))
}

/** The operation of the route that takes a call. */
function operationAt(method: string, path: string): Operation | undefined {
  const routes = app.router.match(method.toUpperCase(), app.getPath(new Request(`https://edge.test${path}`)))[0]
  const route = routes.map(([[, route]]) => route).find(({ handler }) => operationOf(handler))
  return route && document.paths[templateOf(route.path)]?.[method.toLowerCase()]
}

const parsers = new Map<Schema, z.ZodType>()

function check(schema: Schema, value: unknown, fault: (what: string) => void): void {
  // Each part by itself: zod lets what one part of an intersection knows pass in all.
  for (const part of schema.allOf ?? [schema]) {
    const parser = parsers.get(part) ?? toParser(part)
    parsers.set(part, parser)
    const parsed = parser.safeParse(value)
    if (!parsed.success) fault(`${z.prettifyError(parsed.error)}\n${JSON.stringify(value)}`)
  }
}

const toParser = (schema: Schema): z.ZodType =>
  z.fromJSONSchema({ ...schema, $defs: document.components.schemas }, { registry: z.registry() })

/** An answer of server-sent events, each looked at as it passes. */
function eventsChecked(response: Response, schema: Schema, fault: (what: string) => void): Response {
  const reader = response.body!.getReader()
  const decoder = new TextDecoder()
  let text = ''
  const look = (block: string) => {
    const event = /^event: (.*)$/m.exec(block)?.[1]
    const data = /^data: (.*)$/m.exec(block)?.[1]
    if (data === undefined) return
    const value = data === '[DONE]' ? data : JSON.parse(data)
    check(schema, event === undefined ? value : { type: event, ...value }, fault)
  }
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value, done } = await reader.read()
      if (done) return controller.close()
      const blocks = (text + decoder.decode(value, { stream: true })).split('\n\n')
      text = blocks.pop()!
      for (const block of blocks) look(block)
      controller.enqueue(value)
    },
    cancel: (reason) => reader.cancel(reason),
  })
  return new Response(body, response)
}
