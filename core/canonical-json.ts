/**
 * A value as the one JSON text by which it is hashed (RFC 8785): no white space, the fields of objects in the order of their
 * names' UTF-16 code units, strings and numbers as ECMAScript writes them. What JSON leaves out is left out.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const fields = Object.entries(value).filter(([, field]) => field !== undefined)
  fields.sort(([x], [y]) => (x < y ? -1 : 1))
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`).join()}}`
}
