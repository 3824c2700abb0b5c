/** The API's document, GET /v1/openapi.json, as the reference page reads it. */
import type { Schema, Schemas } from './fields.ts'

type Content = Record<string, { schema?: Schema; examples?: Record<string, { value?: unknown; $ref?: string }> }>
type Answer = { description: string; content?: Content; 'x-frames'?: Record<string, Schema> }

export type Parameter = {
  name: string
  in: 'path' | 'query' | 'header'
  required: boolean
  description?: string
  schema: Schema
}

type Declared = {
  operationId: string
  tags: string[]
  summary: string
  description?: string
  security: Record<string, string[]>[]
  parameters: Parameter[]
  requestBody?: { content: Content }
  responses: Record<string, Answer>
}

export type ApiDocument = {
  info: { description: string; version: string }
  paths: Record<string, Record<string, Declared>>
  components: { schemas: Schemas; examples: Record<string, { summary: string }> }
}

export type Operation = {
  id: string
  method: string
  path: string
  summary: string
  details?: string | undefined
  /** What lets a call in, in words; anyone may make the others. */
  access?: string | undefined
  parameters: Parameter[]
  body?: { type: string; schema?: Schema | undefined; examples: Record<string, unknown> } | undefined
  /** Each shape that is told with success. */
  answers: { status: string; description: string; type: string; schema?: Schema | undefined }[]
  errors: { status: string; code: string; meaning: string }[]
  /** The answer is a WebSocket. */
  socket: boolean
}

export type Group = { tag: string; operations: Operation[] }

/** @returns the operations by their tag, both in the document's order */
export function groupsOf(document: ApiDocument): Group[] {
  const groups = new Map<string, Operation[]>()
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, declared] of Object.entries(methods)) {
      const tag = declared.tags[0] ?? 'other'
      const operations = groups.get(tag) ?? []
      operations.push(read(method.toUpperCase(), path, declared, document.components.examples))
      groups.set(tag, operations)
    }
  }
  return [...groups].map(([tag, operations]) => ({ tag, operations }))
}

function read(method: string, path: string, declared: Declared, known: Record<string, { summary: string }>): Operation {
  const [body] = Object.entries(declared.requestBody?.content ?? {})
  const examples = Object.entries(body?.[1].examples ?? {}).map(([name, { value }]) => [name, value])
  const responses = Object.entries(declared.responses)
  return {
    id: declared.operationId,
    method,
    path,
    summary: declared.summary,
    details: declared.description,
    access: accessOf(declared.security),
    parameters: declared.parameters,
    body: body && { type: body[0], schema: body[1].schema, examples: Object.fromEntries(examples) },
    answers: responses.filter(([status]) => status < '400').flatMap(([status, answer]) => shapesOf(status, answer)),
    errors: responses.filter(([status]) => status >= '400').flatMap(([status, one]) => refusalsOf(status, one, known)),
    socket: '101' in declared.responses,
  }
}

function accessOf(security: Declared['security']): string | undefined {
  if (security.length === 0) return undefined
  if (security.some(({ operator }) => operator)) return "The operator's token"
  const scope = security.find(({ apiKey }) => apiKey)?.apiKey?.[0]
  return scope === undefined ? 'The token of a sign-in' : `API key with ${scope}, or the token of a sign-in`
}

function shapesOf(status: string, { description, content = {}, 'x-frames': frames = {} }: Answer) {
  const shapes = [
    ...Object.entries(content).map(([type, { schema }]) => ({ type, schema: schema?.['x-events'] ?? schema })),
    ...Object.entries(frames).map(([way, schema]) => ({ type: `frames ${way}`, schema })),
  ]
  return (shapes.length > 0 ? shapes : [{ type: '', schema: undefined }]).map((shape) => ({
    status,
    description,
    ...shape,
  }))
}

function refusalsOf(status: string, { content = {} }: Answer, known: Record<string, { summary: string }>) {
  return Object.values(content).flatMap(({ examples = {} }) =>
    Object.entries(examples).map(([code, { $ref = '' }]) => ({
      status,
      code,
      meaning: known[$ref.slice($ref.lastIndexOf('/') + 1)]?.summary ?? '',
    })),
  )
}
