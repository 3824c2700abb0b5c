/** Errors in OpenAI's shape, which its clients read. */
import { type DomainError, type ErrorCode, toProblem } from './errors.ts'
import type { LaneDemand } from './lane.ts'

/** `lane` is ours: what a `voucher_required` asks to be signed. */
export type OpenAiError = { message: string; type: string; code: string; param: string | null; lane?: LaneDemand }

/** The field of each route that holds what is to be worked on. */
const MAIN_FIELD: Record<string, string> = {
  'chat/completions': 'messages',
  completions: 'prompt',
  embeddings: 'input',
}
const TERMS = new Set(['maxPrice', 'preference', 'requirements', 'deadlineSeconds', 'maxAttempts'])
/** Where OpenAI has a name of its own for what went wrong. */
const CODES: Partial<Record<ErrorCode, string>> = { unknown_model: 'model_not_found' }
const TYPES: Record<number, string> = {
  401: 'authentication_error',
  402: 'insufficient_quota',
  403: 'permission_error',
  429: 'rate_limit_error',
}

/** @param route as in `chat/completions` */
export function toOpenAiError(error: DomainError, route: string): { status: number; error: OpenAiError } {
  const { status, title, detail, hint, code, pointer, lane } = toProblem(error)
  return {
    status: status === 422 ? 400 : status,
    error: {
      message: [detail ?? title, hint].join('. '),
      type: TYPES[status] ?? (status >= 500 ? 'server_error' : 'invalid_request_error'),
      code: CODES[code] ?? code,
      param: pointer === undefined ? null : paramOf(route, pointer),
      ...(lane && { lane }),
    },
  }
}

/** The field of the request that a pointer is about, be it into the request, its query, or the task that it became. */
export function paramOf(route: string, pointer: string): string | null {
  if (pointer.startsWith('?')) return pointer.slice(1)
  const parts = pointer.split('/').slice(1)
  const main = MAIN_FIELD[route]
  const own = main === undefined ? parts : fieldOfTask(main, parts)
  return own.map((part, i) => (isIndex(part) ? `[${part}]` : i === 0 ? part : `.${part}`)).join('') || null
}

const isIndex = (part: string | undefined): boolean => /^\d+$/.test(part ?? '')

/** @param path perhaps of one task among several */
function fieldOfTask(main: string, path: string[]): string[] {
  const [field, ...rest] = isIndex(path[0]) ? path.slice(1) : path
  if (field === undefined) return []
  if (TERMS.has(field)) return ['daicn', field, ...rest]
  // `input` is a field of embeddings too, but its texts have numbers there, not names.
  if (field !== 'input' || isIndex(rest[0])) return [field, ...rest]
  const [inner, ...deeper] = rest
  if (inner === undefined || (inner === 'messages' && main === 'prompt')) return [main]
  return inner === 'messages' || inner === 'texts' ? [main, ...deeper] : rest
}
