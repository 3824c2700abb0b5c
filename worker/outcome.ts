/** An error's class does not survive the call of an object's method, so objects answer with an outcome and callers unwrap it. */
import { DomainError, type ErrorCode, type ErrorDetails } from '#core/errors.ts'

export type Outcome<T> = { value: T } | { error: { code: ErrorCode; details: ErrorDetails } }

export async function outcomeOf<T>(work: () => T | Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await work() }
  } catch (error) {
    if (error instanceof DomainError) return { error: { code: error.code, details: error.details } }
    throw error
  }
}

export function unwrap<T>(outcome: Outcome<T>): T {
  if ('value' in outcome) return outcome.value
  throw new DomainError(outcome.error.code, outcome.error.details)
}

/** A value on its way between a Worker and an object: text is far cheaper to carry than an object is to clone. */
export type Json<T> = string & { readonly of?: T }
export const toJson = <T>(value: T): Json<T> => JSON.stringify(value)
export const fromJson = <T>(json: Json<T>): T => JSON.parse(json) as T
