/**
 * Pages of any origin may call the API: it knows its callers by what their programs send, and by nothing that a browser adds of
 * itself, so a page gains nothing by calling from the browser of somebody else.
 */
const ANY = { 'access-control-allow-origin': '*' } as const
const PREFLIGHT = {
  ...ANY,
  'access-control-allow-methods': 'GET, POST, PUT, DELETE',
  // A `*` covers all but this one.
  'access-control-allow-headers': 'authorization, *',
  'access-control-max-age': '86400',
}
/** What programs read of an answer besides what every page may. */
const EXPOSED = [
  'allow',
  'content-disposition',
  'payment-required',
  'payment-response',
  'ratelimit',
  'ratelimit-policy',
  'retry-after',
  'www-authenticate',
  'x-daicn-task',
  'x-request-id',
].join(', ')

/** The answer to a call that a browser makes for a page: `call` is the call itself, not made for the question before it. */
export async function crossOrigin(request: Request, call: () => Response | Promise<Response>): Promise<Response> {
  if (request.method === 'OPTIONS') return new Response(null, { status: 204, headers: PREFLIGHT })
  const answer = await call()
  if (answer.webSocket) return answer
  const headers = new Headers(answer.headers)
  headers.set('access-control-allow-origin', '*')
  headers.set('access-control-expose-headers', EXPOSED)
  return new Response(answer.body, { status: answer.status, headers })
}
