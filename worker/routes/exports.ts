import { Hono } from 'hono'
import { stream } from 'hono/streaming'
import * as z from 'zod'
import { LogConsistency } from '#core/hour-log.ts'
import { Address } from '#core/protocol/values.ts'
import { Hour, HourList, hourName, hourNumber, ReputationList } from '#core/public-log.ts'
import { RequesterReputations } from '#core/requester-reputation.ts'
import { type Env, networkOf } from '../env.ts'
import { operation } from '../middleware/operation.ts'
import { linesOf } from '../public-log.ts'
import { requesterReputations } from '../requester-reputation.ts'

export const exports = new Hono<{ Bindings: Env }>()
  .get(
    '/',
    operation({
      summary: 'The hours of the public log',
      access: 'anyone',
      answers: { 200: HourList },
    }),
    async (c) => {
      const { cells, history } = networkOf(c.env)
      const hours = await history.readHours(cells)
      return c.json({ hours: hours.map(({ hour, records }) => ({ hour: hourName(hour), records })) })
    },
  )
  .get(
    '/:hour',
    operation({
      summary: 'An hour of the public log',
      details:
        'A `TaskRecord` a line, in the order in which they were written: every task that ended, and who attempted it. Once the hour is closed, the line before them is its `HourHead`, and those after them are a `RequesterTally` each.',
      access: 'anyone',
      params: z.object({ hour: Hour }),
      answers: { 200: 'application/x-ndjson' },
    }),
    (c) => {
      const network = networkOf(c.env)
      const hour = hourNumber(c.req.valid('param').hour)
      c.header('content-type', 'application/x-ndjson')
      return stream(c, async (body) => {
        const head = await network.history.readHead(hour)
        if (head) await body.write(`${JSON.stringify(head)}\n`)
        for await (const line of linesOf(network, hour)) await body.write(`${line}\n`)
      })
    },
  )

/** Hours told at a time; the last of them is where to ask on from. */
const MOST_HEADS = 1000

export const log = new Hono<{ Bindings: Env }>().get(
  '/consistency',
  operation({
    summary: 'What shows that the public log only grew',
    details:
      'The heads of the closed hours from one to another, 1,000 at most. Each proves the roots of the one before it, so whoever keeps one root can hold any later hour to it: `daicn verify --log`.',
    access: 'anyone',
    query: z.object({ from: Hour, to: Hour }),
    answers: { 200: LogConsistency },
  }),
  async (c) => {
    const { from, to } = c.req.valid('query')
    return c.json({ heads: await networkOf(c.env).history.readHeads(hourNumber(from), hourNumber(to), MOST_HEADS) })
  },
)

export const reputations = new Hono<{ Bindings: Env }>()
  .get(
    '/',
    operation({
      summary: 'The reputation of every provider in every class',
      details: 'Each with what it follows from, so that it can be counted again from the public log.',
      access: 'anyone',
      query: z.object({ provider: Address.optional() }),
      answers: { 200: ReputationList },
    }),
    async (c) => {
      const { provider } = c.req.valid('query')
      const reputations = await networkOf(c.env).everywhere((market) => market.reputations(provider))
      return c.json({ reputations: reputations.flat() })
    },
  )
  .get(
    '/requesters',
    operation({
      summary: 'The reputation of every requester',
      details:
        'By the names under which the public log tells of them, as of the last closed hour. `GET /v1/account/reputation` tells each its own.',
      access: 'anyone',
      weight: 5,
      answers: { 200: RequesterReputations },
    }),
    async (c) => c.json(await requesterReputations(networkOf(c.env))),
  )
