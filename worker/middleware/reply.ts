import type { Context, TypedResponse } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { Json } from '../outcome.ts'

/** Answers with a value that is JSON already, without reading it. */
export function reply<T, S extends ContentfulStatusCode>(c: Context, json: Json<T>, status: S) {
  return c.body(json, status, { 'content-type': 'application/json' }) as unknown as TypedResponse<T, S, 'json'> &
    Response
}
