import { expect, test } from 'vitest'
import { callOf, toCurl } from '../../web/src/lib/reference/call.ts'
import { fieldsOf, type Schemas } from '../../web/src/lib/reference/fields.ts'
import { groupsOf } from '../../web/src/lib/reference/operations.ts'

const schemas: Schemas = {
  Task: {
    type: 'object',
    required: ['kind'],
    properties: {
      kind: { enum: ['chat', 'embed'], description: 'What is done.' },
      tries: { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER, default: 3 },
      after: { type: 'array', items: { $ref: '#/components/schemas/Task' } },
      wants: { type: 'object', properties: { region: { anyOf: [{ type: 'string' }, { type: 'null' }] } } },
    },
  },
}
const task = { $ref: '#/components/schemas/Task' }

test('the fields of a schema are read through references, unions and schemas of themselves', () => {
  const fields = fieldsOf({ anyOf: [task, { type: 'array', items: task }] }, schemas)
  expect(fields).toEqual([
    { name: 'kind', type: '"chat" | "embed"', required: true, notes: 'What is done.' },
    { name: 'tries', type: 'integer', required: false, notes: 'At least 1, default 3.' },
    { name: 'after', type: 'Task[]', required: false, notes: '' },
    { name: 'wants', type: 'object', required: false, notes: '' },
    { name: 'wants.region', type: 'string | null', required: false, notes: '' },
  ])
})

test('variants of a union share their rows', () => {
  const variant = (name: string) => ({ properties: { type: { const: name }, at: { type: 'integer' } } })
  const fields = fieldsOf({ oneOf: [variant('status'), variant('done')] }, {})
  expect(fields.map(({ name, type }) => [name, type])).toEqual([
    ['type', '"status" | "done"'],
    ['at', 'integer'],
  ])
})

const text = { type: 'string' }
const [group] = groupsOf({
  info: { description: '', version: '1' },
  components: { schemas, examples: { problem_gone: { summary: 'It is gone' } } },
  paths: {
    '/v1/tasks/{id}': {
      post: {
        operationId: 'post_tasks_id',
        tags: ['tasks'],
        summary: 'Change a task',
        security: [{ apiKey: ['tasks:write'] }, { session: [] }],
        parameters: [
          { name: 'id', in: 'path', required: true, schema: text },
          { name: 'wait', in: 'query', required: false, schema: text },
          { name: 'idempotency-key', in: 'header', required: false, schema: text },
        ],
        requestBody: {
          content: { 'application/json': { schema: task, examples: { one: { value: { kind: 'chat' } } } } },
        },
        responses: {
          200: { description: 'OK', content: { 'application/json': { schema: task } } },
          404: {
            description: '',
            content: {
              'application/problem+json': { examples: { gone: { $ref: '#/components/examples/problem_gone' } } },
            },
          },
        },
      },
    },
  },
})
const operation = group!.operations[0]!

test('an operation says who may call it, what it answers and how it refuses', () => {
  expect(group!.tag).toBe('tasks')
  expect(operation).toMatchObject({
    method: 'POST',
    access: 'API key with tasks:write, or the token of a sign-in',
    body: { type: 'application/json', examples: { one: { kind: 'chat' } } },
    answers: [{ status: '200', type: 'application/json', schema: task }],
    errors: [{ status: '404', code: 'gone', meaning: 'It is gone' }],
    socket: false,
  })
})

test('a call is what was filled in, and its command is safe to paste', () => {
  const call = callOf(operation, 'https://edge.test', { id: 'a/b', wait: '5' }, `{"kind":"it's"}`)
  expect(call).toEqual({
    url: 'https://edge.test/v1/tasks/a%2Fb?wait=5',
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: `{"kind":"it's"}`,
  })
  expect(toCurl(call, operation).split(' \\\n  ')).toEqual([
    "curl -X POST 'https://edge.test/v1/tasks/a%2Fb?wait=5'",
    '-H "authorization: Bearer $DAICN_KEY"',
    "-H 'content-type: application/json'",
    `-d '{"kind":"it'\\''s"}'`,
  ])
  expect(callOf(operation, '', {}, '{}').url).toBe('/v1/tasks/{id}')
})
