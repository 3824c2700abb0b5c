import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { privateKeyToAccount } from 'viem/accounts'
import { hashTypedData, keccak256, recoverTypedDataAddress, stringToBytes } from 'viem/utils'
import { beforeAll, expect, test } from 'vitest'
import { canonicalJson } from '#core/canonical-json.ts'
import type { Address } from '#core/protocol/values.ts'
import {
  checkReceipt,
  countersignatureTypedData,
  hashOfJson,
  hashOfRequest,
  type Receipt,
  type ReceiptTypedData,
  receiptTypedData,
  type Tools,
} from '#core/receipt.ts'
import { holds } from '../support/property.ts'

const keyed = (name: string) => privateKeyToAccount(keccak256(stringToBytes(name)))
const provider = keyed('provider')
const edge = keyed('edge')
const hash = async (text: string) => createHash('sha256').update(text).digest('hex')
const recover: Tools['recover'] = (data, signature) =>
  recoverTypedDataAddress({ ...(data as ReceiptTypedData), signature }).then(
    (address) => address.toLowerCase() as Address,
    () => null,
  )
const tools = { hash, recover }

const OUTPUT = { content: 'a boat at dawn', finishReason: 'stop' }
let receipt: Receipt

beforeAll(async () => {
  const request = {
    kind: 'llm.chat' as const,
    model: 'echo',
    digest: 'sha256:1234',
    input: await hashOfJson({ messages: [] }, hash),
    prefix: { sha256: await hash('a boat'), tokens: 2 },
  }
  const statement = {
    domain: { chainId: 31337, court: `0x${'c0'.repeat(20)}` as Address },
    task: 'c1-0mh2k3l4m0123456789',
    attempt: 2,
    provider: provider.address.toLowerCase() as Address,
    requester: `0x${'ab'.repeat(20)}` as Address,
    ...request,
    request: await hashOfRequest(request, hash),
    output: await hashOfJson(OUTPUT, hash),
    units: 12,
    price: '0.0012',
    finishedAt: 1_800_000_005_000,
  }
  const signature = await provider.signTypedData(await receiptTypedData(statement, hash))
  const draft = { ...statement, grantedAt: 1_800_000_001_234, acceptedAt: 1_800_000_006_789, signature }
  const countersigned = await edge.signTypedData(await countersignatureTypedData(draft, hash))
  receipt = { ...draft, edge: { address: edge.address.toLowerCase() as Address, signature: countersigned } }
})

const failing = async (value: unknown, output?: unknown) =>
  (await checkReceipt(value, tools, output)).filter(({ ok }) => !ok).map(({ field }) => field)

test('a receipt verifies as it is, in whatever order its fields are, and with its output', async () => {
  expect(await failing(receipt)).toEqual([])
  const turned = Object.fromEntries(Object.entries(JSON.parse(JSON.stringify(receipt))).reverse())
  expect(await failing(turned, { finishReason: 'stop', content: 'a boat at dawn' })).toEqual([])
})

test('another output fails by its name', async () => {
  expect(await failing(receipt, { ...OUTPUT, content: 'a boat at dusk' })).toEqual(['output'])
})

test('a changed field fails by its name where one check is of it, and by the signature otherwise', async () => {
  expect(await failing({ ...receipt, model: 'other' })).toEqual(['request'])
  expect(await failing({ ...receipt, units: 13 })).toEqual(['signature', 'edge.signature'])
  expect(await failing({ ...receipt, acceptedAt: receipt.acceptedAt + 1 })).toEqual(['edge.signature'])
  expect(await failing({ ...receipt, price: '0.00120' })).toEqual(['price'])
  expect(await failing({ ...receipt, tip: '1' })).toEqual(['tip'])
  const { units: _, ...less } = receipt
  expect(await failing(less)).toEqual(['units'])
})

test.each([[null], [7], ['receipt'], [[]], [{}]])('%j is no receipt', async (value) => {
  expect(await failing(value)).toHaveLength(1)
})

/** Every leaf of a value, as its path. */
function leaves(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [path]
  return Object.entries(value).flatMap(([name, field]) => leaves(field, [...path, name]))
}

/** A copy in which one leaf is another value. */
function changed(value: unknown, [name, ...rest]: string[], to: (leaf: unknown) => unknown): unknown {
  if (name === undefined) return to(value)
  const object = value as Record<string, unknown>
  return { ...object, [name]: changed(object[name], rest, to) }
}

test('flipping any field fails it', async () => {
  const paths = leaves(receipt)
  expect(paths).toHaveLength(22)
  const character = fc.stringMatching(/^[0-9a-zA-Z.]$/)
  for (const path of paths) {
    const property = fc.asyncProperty(fc.nat(), character, fc.integer({ min: 1, max: 1e6 }), async (at, put, step) => {
      const flipped = changed(receipt, path, (leaf) => {
        if (typeof leaf === 'number') return leaf + step
        const text = leaf as string
        const place = at % text.length
        return text.slice(0, place) + put + text.slice(place + 1)
      })
      fc.pre(canonicalJson(flipped) !== canonicalJson(receipt))
      expect(await failing(flipped), path.join('.')).not.toEqual([])
    })
    await fc.assert(property, { seed: Number(process.env.SEED ?? 20_260_101), numRuns: 12 })
  }
})

test('a field that was there is not the same as none', async () => {
  for (const field of ['digest', 'prefix'] as const) {
    expect(await failing({ ...receipt, [field]: null })).toEqual(['request'])
  }
})

test('a receipt finished outside its lease is false, whoever signed it', async () => {
  const { edge: _, signature: __, ...rest } = receipt
  const statement = { ...rest, finishedAt: receipt.finishedAt + 3_600_000 }
  const signature = await provider.signTypedData(await receiptTypedData(statement, hash))
  const draft = { ...statement, signature }
  const countersigned = await edge.signTypedData(await countersignatureTypedData(draft, hash))
  expect(await failing({ ...draft, edge: { ...receipt.edge, signature: countersigned } })).toEqual(['finishedAt'])
})

test('what a provider signs is the type that the court knows', async () => {
  const { types } = await receiptTypedData(receipt, hash)
  const type = `TaskReceipt(${types.TaskReceipt.map(({ type, name }) => `${type} ${name}`).join()})`
  expect(readFileSync(new URL('../../contracts/src/DisputeCourt.sol', import.meta.url), 'utf8')).toContain(`"${type}"`)
})

test('each change of what was asked or done is another message', async () => {
  const digests = await Promise.all(
    [receipt, { ...receipt, output: receipt.request }, { ...receipt, request: receipt.output }].map(async (one) =>
      hashTypedData(await receiptTypedData(one, hash)),
    ),
  )
  expect(new Set(digests).size).toBe(3)
})

test('canonical JSON is one text for a value, and that value again', () => {
  expect(canonicalJson({ b: [1.0, -0, 1e21, '\u20ac\n'], a: { z: null, y: undefined } })).toBe(
    '{"a":{"z":null},"b":[1,0,1e+21,"€\\n"]}',
  )
  holds(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value)
      expect(canonicalJson(JSON.parse(text))).toBe(text)
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)))
    }),
  )
})
