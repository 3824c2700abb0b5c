/** JSON Schema as rows that people read. */

export type Schema = {
  $ref?: string
  type?: string | string[]
  description?: string
  properties?: Schemas
  required?: string[]
  additionalProperties?: boolean | Schema
  items?: Schema
  anyOf?: Schema[]
  oneOf?: Schema[]
  enum?: unknown[]
  const?: unknown
  default?: unknown
  minimum?: number
  maximum?: number
  maxLength?: number
  maxItems?: number
  /** The data of each event of a stream. */
  'x-events'?: Schema
}
export type Schemas = Record<string, Schema>

export type Field = {
  /** As in `requirements.region` and `messages[].role`. */
  name: string
  type: string
  required: boolean
  /** What it means and its limits. */
  notes: string
}

/** Every field of a schema, those inside of others too. A named schema is opened once, where it is met first. */
export function fieldsOf(schema: Schema, schemas: Schemas): Field[] {
  const fields = new Map<string, Field>()
  const opened = new Set<string>()

  function open(one: Schema, prefix: string) {
    const name = one.$ref && nameOf(one.$ref)
    if (name && opened.has(name)) return
    if (name) opened.add(name)
    const { properties = {}, required = [], items, anyOf, oneOf } = resolve(one, schemas)
    for (const variant of anyOf ?? oneOf ?? []) open(variant, prefix)
    if (items) open(items, `${prefix}[]`)
    for (const [key, property] of Object.entries(properties)) {
      const path = prefix ? `${prefix}.${key}` : key
      add(path, { ...resolve(property, schemas), ...property }, required.includes(key))
      open(property, path)
    }
  }

  /** The variants of a union may each have the same field, with a type of its own. */
  function add(name: string, property: Schema, required: boolean) {
    const type = typeOf(property)
    const known = fields.get(name)
    if (!known) fields.set(name, { name, type, required, notes: notesOf(property) })
    else if (!known.type.split(' | ').includes(type)) known.type += ` | ${type}`
  }

  open(schema, '')
  return [...fields.values()]
}

/** A schema's type in short: 'string', 'Offer[]', '"cheapest" | "fastest"'. */
export function typeOf(schema: Schema): string {
  if (schema.$ref) return nameOf(schema.$ref)
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ')
  const union = schema.anyOf ?? schema.oneOf
  if (union) return [...new Set(union.map(typeOf))].join(' | ')
  if (schema.items) {
    const item = typeOf(schema.items)
    return item.includes(' | ') ? `(${item})[]` : `${item}[]`
  }
  return [schema.type ?? 'any'].flat().join(' | ')
}

/** What a schema says of itself, and its limits. */
export function notesOf(schema: Schema): string {
  const { description, minimum, maximum, maxLength, maxItems } = schema
  const limits = [
    minimum !== undefined && minimum !== Number.MIN_SAFE_INTEGER && `at least ${NUMBER.format(minimum)}`,
    maximum !== undefined && maximum !== Number.MAX_SAFE_INTEGER && `at most ${NUMBER.format(maximum)}`,
    maxLength !== undefined && `up to ${NUMBER.format(maxLength)} characters`,
    maxItems !== undefined && `up to ${NUMBER.format(maxItems)} items`,
    schema.default !== undefined && `default ${JSON.stringify(schema.default)}`,
  ].filter((limit) => limit !== false)
  const said = limits.join(', ')
  return [description, said && `${said[0]?.toUpperCase()}${said.slice(1)}.`].filter(Boolean).join(' ')
}

const NUMBER = new Intl.NumberFormat('en-US')

const nameOf = (ref: string): string => ref.slice(ref.lastIndexOf('/') + 1)

const resolve = (schema: Schema, schemas: Schemas): Schema =>
  schema.$ref ? (schemas[nameOf(schema.$ref)] ?? {}) : schema
