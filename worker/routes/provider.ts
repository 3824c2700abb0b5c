import { Hono } from 'hono'
import * as z from 'zod'
import { DomainError } from '#core/errors.ts'
import { parseLeaseId } from '#core/lease.ts'
import { BlobPath } from '#core/protocol/blob.ts'
import { EdgeFrame, OutputAnswer, OutputFrame, Poll, PollAnswer, ProviderFrame } from '#core/protocol/lease.ts'
import { Earnings, Register, Registered, Why } from '#core/protocol/provider.ts'
import type { Address } from '#core/protocol/values.ts'
import { parseTaskId } from '#core/task-id.ts'
import { readBlob } from '../blobs.ts'
import { cellOf, makeHome } from '../cells.ts'
import { type Env, type Network, networkOf } from '../env.ts'
import { operation } from '../middleware/operation.ts'
import { reply } from '../middleware/reply.ts'
import { toJson, unwrap } from '../outcome.ts'
import { content } from './blobs.ts'

const OFFER = { kind: 'llm.chat', model: 'llama-3.2-3b', ask: '0.000001', speed: 80, context: 8192 } as const

export const provider = new Hono<{ Bindings: Env }>()
  .post(
    '/register',
    operation({
      summary: 'Register as a provider, or change the registration',
      access: 'session',
      body: Register,
      examples: { 'one model': { name: 'desk', region: 'weur', slots: 2, offers: [OFFER] } },
      answers: { 200: Registered },
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { address } = c.get('principal')
      const registration = c.req.valid('json')
      const home = await makeHome(network, address, registration.offers)
      return c.json(await network.market(home).register(address, registration))
    },
  )
  .post(
    '/poll',
    operation({
      summary: 'Hand in results, renew leases, ask for more',
      details:
        'Held up to `waitSeconds` while there is nothing to tell. A lease at or below `seen` that is neither renewed nor answered goes to somebody else.',
      access: 'session',
      body: Poll,
      examples: { 'one free slot': { free: 1, seen: 0, results: [], renew: [], waitSeconds: 0 } },
      answers: { 200: PollAnswer },
      errors: ['not_registered', 'market_restarted'],
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { address } = c.get('principal')
      const line = network.line(await cellOf(network, address))
      return reply(c, await line.poll(address, toJson(c.req.valid('json'))), 200)
    },
  )
  .get(
    '/why',
    operation({
      summary: 'Why this provider gets the work it gets',
      access: 'session',
      answers: { 200: Why },
      errors: ['not_registered'],
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { address } = c.get('principal')
      return c.json(unwrap(await network.market(await cellOf(network, address)).why(address)))
    },
  )
  .get(
    '/earnings',
    operation({
      summary: 'What this provider has earned, device by device',
      details: 'By the `devices` that its results named. Nobody else is told.',
      access: 'session',
      answers: { 200: Earnings },
      errors: ['not_registered'],
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { address } = c.get('principal')
      return c.json(unwrap(await network.market(await cellOf(network, address)).earnings(address)))
    },
  )
  .get(
    '/socket',
    operation({
      summary: 'Poll by WebSocket',
      details:
        "An answer to each poll frame, and further answers when there is work. The text 'ping' is answered by 'pong'.",
      access: 'session',
      frames: { up: ProviderFrame, down: EdgeFrame },
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { address } = c.get('principal')
      const headers = { upgrade: 'websocket', 'x-provider': address }
      return network.market(await cellOf(network, address)).fetch('https://market/', { headers })
    },
  )

export const leases = new Hono<{ Bindings: Env }>()
  .get(
    '/:id/output',
    operation({
      summary: 'Deliver the output of a streaming lease by WebSocket',
      details:
        "The edge says which delta it wants next: when the socket opens, when asked by the text 'next', and when a frame left a gap.",
      access: 'session',
      frames: { up: OutputFrame, down: OutputAnswer },
      errors: ['lease_not_found'],
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { task, attempt, start } = await holder(network, c.get('principal').address, c.req.param('id'))
      return network.room(task).open(`attempt=${attempt}&offset=${start.offset}&besideOffset=${start.besideOffset}`)
    },
  )
  .put(
    '/:id/output',
    operation({
      summary: 'Deliver output of a streaming lease',
      access: 'session',
      body: OutputFrame,
      examples: { 'the first words': { from: 0, deltas: ['Hel', 'lo'] } },
      answers: { 200: OutputAnswer },
      errors: ['lease_not_found'],
    }),
    async (c) => {
      const network = networkOf(c.env)
      const frame = c.req.valid('json')
      const { task, attempt, start } = await holder(network, c.get('principal').address, c.req.param('id'))
      return c.json(await network.room(task).append(attempt, start, frame))
    },
  )
  .get(
    '/:id/blobs/:sha256',
    operation({
      summary: 'Read a blob that the input of a lease refers to',
      access: 'session',
      params: BlobPath.extend({ id: z.string() }),
      answers: { 200: '*/*' },
      errors: ['lease_not_found', 'blob_not_found'],
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { id, sha256 } = c.req.valid('param')
      const { cell } = known(network, id)
      const owner = await network.market(cell).blobOwner(c.get('principal').address, id, sha256)
      if (!owner) throw new DomainError('lease_not_found', { detail: 'no lease of yours refers to this blob' })
      return content(c, await readBlob(network, owner, sha256))
    },
  )

type Delivery = { task: string; attempt: number; start: { offset: number; besideOffset: number } }

/** Who delivers output must hold the lease. */
async function holder(network: Network, address: Address, lease: string): Promise<Delivery> {
  const { cell, task, attempt } = known(network, lease)
  const start = await network.market(cell).outputOf(address, lease)
  if (start === null) throw new DomainError('lease_not_found')
  return { task, attempt, start }
}

function known({ isCell }: Network, lease: string): { task: string; attempt: number; cell: string } {
  const parsed = parseLeaseId(lease)
  const cell = parsed && parseTaskId(parsed.task)?.cell
  if (!cell || !isCell(cell)) throw new DomainError('lease_not_found')
  return { ...parsed, cell }
}
