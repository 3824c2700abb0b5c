/** JSON that comes from outside. */
import type * as z from 'zod'

/** What walks a value overflows its stack on one that is nested without bound: JSON.stringify, structured clone, `sizeOf`. */
const DEEPEST = 100

/** True when arrays and objects stand more than `levels` deep in each other. */
export function isTooDeep(value: unknown, levels = DEEPEST): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (levels === 0) return true
  if (Array.isArray(value)) return value.some((item) => isTooDeep(item, levels - 1))
  for (const key in value) if (isTooDeep((value as Record<string, unknown>)[key], levels - 1)) return true
  return false
}

/** JSON pointer (RFC 6901) to what an issue is about; of fields that are not known, to the first. */
export function pointerTo(issue: z.core.$ZodIssue): string {
  const path = issue.code === 'unrecognized_keys' ? [...issue.path, ...issue.keys.slice(0, 1)] : issue.path
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

/** What is wrong first; of a union, in the alternative that the value was meant to be. */
export function firstIssue({ issues }: { issues: z.core.$ZodIssue[] }): z.core.$ZodIssue {
  const issue = issues[0]!
  if (issue.code !== 'invalid_union') return issue
  const meant = issue.errors.find(([first]) => first && !isOtherType(first))
  if (!meant) return issue
  const inner = firstIssue({ issues: meant })
  return { ...inner, path: [...issue.path, ...inner.path] }
}

const isOtherType = ({ code, path }: z.core.$ZodIssue): boolean => code === 'invalid_type' && path.length === 0
