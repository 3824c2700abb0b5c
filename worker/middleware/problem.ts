import type { Context, ErrorHandler, NotFoundHandler } from 'hono'
import { DomainError, toProblem } from '#core/errors.ts'
import { logError } from '../log.ts'

/** Every error leaves as problem details (RFC 9457); on the OpenAI routes, in OpenAI's shape, which its clients read. */
export const onError: ErrorHandler = (error, c) => {
  const requestId = c.req.header('cf-ray') ?? crypto.randomUUID()
  const known = error instanceof DomainError ? error : new DomainError('internal')
  if (known !== error) logError('request_failed', error, { requestId, path: c.req.path })
  return answer(c, known, requestId)
}

export const onNotFound: NotFoundHandler = (c) => answer(c, new DomainError('not_found'), crypto.randomUUID())

function answer(c: Context, error: DomainError, requestId: string): Response {
  const problem = { ...toProblem(error), requestId }
  const headers: Record<string, string> = {}
  if (problem.status === 401) headers['www-authenticate'] = 'Bearer'
  if (error.details.retryAfterSeconds !== undefined) headers['retry-after'] = String(error.details.retryAfterSeconds)
  if (isOpenAi(c.req.path)) {
    const { title, detail, hint, code, pointer } = problem
    const message = [detail ?? title, hint].join('. ')
    const type =
      problem.status >= 500 ? 'server_error' : problem.status === 401 ? 'authentication_error' : 'invalid_request_error'
    const body = { error: { message, type, code, param: pointer?.slice(1) ?? null } }
    return Response.json(body, { status: problem.status, headers })
  }
  return Response.json(problem, {
    status: problem.status,
    headers: { ...headers, 'content-type': 'application/problem+json' },
  })
}

const isOpenAi = (path: string): boolean => /^\/v1\/(chat\/completions|completions|embeddings)$/.test(path)
