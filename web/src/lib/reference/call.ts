/** A call of an operation, as it is sent and as a command line. */
import type { Operation } from './operations.ts'

export type Call = { url: string; method: string; headers: Record<string, string>; body?: string }

/**
 * @param values of the parameters, by name; an empty one is left out, and one of the path stays as `{name}`
 * @param body JSON, where the operation takes it
 */
export function callOf(operation: Operation, origin: string, values: Record<string, string>, body: string): Call {
  const given = operation.parameters.filter(({ name }) => values[name])
  const at = (where: string) => given.filter((one) => one.in === where).map(({ name }) => [name, values[name] ?? ''])
  const path = operation.path.replaceAll(/\{(\w+)\}/g, (hole, name) => encodeURIComponent(values[name] ?? '') || hole)
  const query = new URLSearchParams(at('query')).toString()
  const json = operation.body?.type === JSON_TYPE
  return {
    url: `${origin}${path}${query && `?${query}`}`,
    method: operation.method,
    headers: { ...Object.fromEntries(at('header')), ...(json && { 'content-type': JSON_TYPE }) },
    ...(json && { body }),
  }
}

export const JSON_TYPE = 'application/json'

/** The key is named, never written out. */
export function toCurl({ url, method, headers, body }: Call, { access, body: takes }: Operation): string {
  const parts = [
    `curl ${method === 'GET' ? '' : `-X ${method} `}${quote(url)}`,
    ...(access ? ['-H "authorization: Bearer $DAICN_KEY"'] : []),
    ...Object.entries(headers).map(([name, value]) => `-H ${quote(`${name}: ${value}`)}`),
    ...(body === undefined ? [] : [`-d ${quote(body)}`]),
    ...(takes?.type === '*/*' ? ['--data-binary @file'] : []),
    ...(takes?.type === 'multipart/form-data' ? formOf(takes.schema?.properties ?? {}) : []),
  ]
  return parts.join(' \\\n  ')
}

const formOf = (properties: Record<string, { const?: unknown }>): string[] =>
  Object.entries(properties).map(([name, { const: only }]) => `-F ${quote(`${name}=${only ?? '@file'}`)}`)

/** For a POSIX shell. */
const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
