import type { Context, ErrorHandler } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { DomainError, toProblem } from '#core/errors.ts'
import { toOpenAiError } from '#core/openai-error.ts'
import { logError } from '../log.ts'

/** Every error leaves as problem details (RFC 9457); on the OpenAI routes, in OpenAI's shape, which its clients read. */
export const onError: ErrorHandler = (error, c) => {
  const requestId = c.req.header('cf-ray') ?? crypto.randomUUID()
  const known = error instanceof DomainError ? error : new DomainError('internal')
  if (known !== error) logError('request_failed', error, { requestId, path: c.req.path })
  return answer(c, known, requestId)
}

/** @param methods what the address takes, should it be only the method that is wrong */
export function onNotFound(c: Context, methods: string[]): Response {
  const error = new DomainError(methods.length > 0 ? 'method_not_allowed' : 'not_found')
  const response = answer(c, error, crypto.randomUUID())
  if (methods.length > 0) response.headers.set('allow', methods.join(', '))
  return response
}

function answer(c: Context, error: DomainError, requestId: string): Response {
  const { status, type, body } = refusalOf(c.req.path, error, requestId)
  const headers: Record<string, string> = { 'content-type': type, 'x-request-id': requestId }
  if (status === 401) headers['www-authenticate'] = 'Bearer'
  if (error.details.retryAfterSeconds !== undefined) headers['retry-after'] = String(error.details.retryAfterSeconds)
  // With what the call has set of headers, as of a payment that was taken.
  return c.body(JSON.stringify(body), status as ContentfulStatusCode, headers)
}

/** An error as the clients of a path read it. */
export function refusalOf(path: string, error: DomainError, requestId: string) {
  const route = openAiRoute(path)
  if (route === undefined) {
    const problem = { ...toProblem(error), requestId }
    return { status: problem.status, type: 'application/problem+json', code: error.code, body: problem }
  }
  const { status, error: body } = toOpenAiError(error, route)
  return { status, type: 'application/json', code: body.code, body: { error: body } }
}

/** Which of OpenAI's routes a path is of, as in `chat/completions`. */
export const openAiRoute = (path: string): string | undefined =>
  /^\/v1\/(chat\/completions|completions|embeddings|models|files|batches)(?:\/|$)/.exec(path)?.[1]
