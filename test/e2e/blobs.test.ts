import { createHash, randomBytes } from 'node:crypto'
import { request } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { BlobView } from '../../core/protocol/blob.ts'
import { LIMITS } from '../../core/protocol/values.ts'
import { startAgentProcess } from '../support/agent-process.ts'
import { createWorld, type Member, newRequester, type World } from '../support/fault-world.ts'
import { eventually } from '../support/ledger.ts'
import { largePage, submit, untilEnded } from '../support/real-work.ts'

let world: World
let alice: Member
beforeAll(async () => {
  world = await createWorld()
  alice = await newRequester(world)
})
afterAll(() => world?.end())

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const address = (hash: string) => `${world.url}/v1/blobs/${hash}`
const authorization = () => `Bearer ${alice.caller.key}`

const put = (hash: string, body: Uint8Array<ArrayBuffer>) =>
  fetch(address(hash), { method: 'PUT', body, headers: { authorization: authorization() } })
const get = (hash: string) => fetch(address(hash), { headers: { authorization: authorization() } })

test('a page too large for an input is uploaded, outlives the edge, and is read by an agent', async () => {
  const page = new Uint8Array(await largePage())
  expect(page.length).toBeGreaterThan(LIMITS.inputBytes)
  expect((await put(sha256(page), page)).status).toBe(201)
  await world.crash()
  const agent = await startAgentProcess(world, 'reader', ['doc.ocr'])
  const input = { image: { sha256: sha256(page) }, mediaType: 'image/png' }
  const { id } = await submit(alice, { kind: 'doc.ocr', input })
  const view = await untilEnded(alice, id, 30_000)
  expect(view).toMatchObject({ status: 'succeeded', provider: agent.address })
  expect((view.output as { text: string }).text).toContain('A requester sends a task to the edge.')

  // Whatever is missing when an agent asks for it is nobody's failure: every attempt says so, and no provider is held to it.
  await fetch(address(sha256(page)), { method: 'PUT', body: page, headers: { authorization: authorization() } })
  await agent.stop()
  const { id: lost } = await submit(alice, { kind: 'doc.ocr', input, maxAttempts: 1 })
  expect(
    (await fetch(address(sha256(page)), { method: 'DELETE', headers: { authorization: authorization() } })).status,
  ).toBe(204)
  const again = await startAgentProcess(world, 'reader', ['doc.ocr'])
  expect(await untilEnded(alice, lost, 30_000)).toMatchObject({
    status: 'failed',
    error: { code: 'input_unavailable', message: expect.stringContaining(sha256(page)) },
  })
  await again.stop()
})

test('100 MiB go up and come back as a stream', async () => {
  const bytes = new Uint8Array(randomBytes(LIMITS.blobBytes))
  const response = await put(sha256(bytes), bytes)
  expect([response.status, ((await response.json()) as BlobView).bytes]).toEqual([201, LIMITS.blobBytes])
  const hash = createHash('sha256')
  for await (const chunk of (await get(sha256(bytes))).body!) hash.update(chunk)
  expect(hash.digest('hex')).toBe(sha256(bytes))
  bytes[LIMITS.blobBytes - 1]! ^= 1
  const other = sha256(bytes)
  bytes[0]! ^= 1
  expect((await put(other, bytes)).status).toBe(422)
  expect((await get(other)).status).toBe(404)
})

test('an upload that breaks off leaves nothing', async () => {
  const bytes = randomBytes(1_000_000)
  const upload = request(address(sha256(bytes)), {
    method: 'PUT',
    headers: { authorization: authorization(), 'content-length': bytes.length },
  })
  const closed = new Promise<void>((resolve) => upload.on('error', () => {}).on('close', resolve))
  await new Promise<void>((resolve) => upload.write(bytes.subarray(0, 500_000), () => resolve()))
  upload.destroy()
  await closed
  await eventually('it is not there', 5000, async () => ((await get(sha256(bytes))).status === 404 ? true : undefined))
  expect((await put(sha256(bytes), new Uint8Array(bytes))).status).toBe(201)
  expect(sha256(new Uint8Array(await (await get(sha256(bytes))).arrayBuffer()))).toBe(sha256(bytes))
})
