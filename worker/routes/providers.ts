import { Hono } from 'hono'
import { cursorOf, mergedList, ProviderList, ProviderListQuery, ProviderPath, ProviderView } from '#core/directory.ts'
import { DomainError } from '#core/errors.ts'
import { historyOf, ProviderHistory } from '#core/provider-history.ts'
import { TaskList, TaskListQuery } from '#core/task-list.ts'
import { homeOf } from '../cells.ts'
import { type Env, networkOf } from '../env.ts'
import { operation } from '../middleware/operation.ts'
import { listTasks } from '../task-list.ts'

export const providers = new Hono<{ Bindings: Env }>()
  .get(
    '/',
    operation({
      summary: 'List the providers',
      access: 'anyone',
      query: ProviderListQuery,
      answers: { 200: ProviderList },
    }),
    async (c) => {
      const { after } = c.req.valid('query')
      return c.json(mergedList(await networkOf(c.env).everywhere((market) => market.providers(after))))
    },
  )
  .get(
    '/:address',
    operation({
      summary: 'Read a provider',
      details: 'What it offers beside what others ask and how fast they are, and what came of its work.',
      access: 'anyone',
      params: ProviderPath,
      answers: { 200: ProviderView },
      errors: ['provider_not_found'],
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { address } = c.req.valid('param')
      const home = await homeOf(network, address)
      const view = home && (await network.market(home).provider(address))
      if (!view) throw new DomainError('provider_not_found')
      const others = network.cells.filter((cell) => cell !== home)
      const before = await Promise.all(others.map((cell) => network.market(cell).rankedBefore(cursorOf(view))))
      return c.json({ ...view, rank: before.reduce((rank, count) => rank + count, view.rank) })
    },
  )
  .get(
    '/:address/history',
    operation({
      summary: 'Read what came of a provider over time',
      details:
        'Hour by hour what came of its work, how much of it was held against the results of others, what was paid for it and how its reputation stood; and how much of each day it was there.',
      access: 'anyone',
      params: ProviderPath,
      answers: { 200: ProviderHistory },
      errors: ['provider_not_found'],
    }),
    async (c) => {
      const { address } = c.req.valid('param')
      const network = networkOf(c.env)
      const { market, history } = network
      const home = await homeOf(network, address)
      const days = home && (await market(home).presenceOf(address))
      if (!days) throw new DomainError('provider_not_found')
      const [head, tallies] = await Promise.all([history.readLastHead(), history.readProviderHours(address)])
      return c.json({ until: head?.hour ?? null, hours: historyOf(tallies), days })
    },
  )
  .get(
    '/:address/tasks',
    operation({
      summary: 'List the tasks that a provider ran or runs',
      access: 'anyone',
      params: ProviderPath,
      query: TaskListQuery,
      answers: { 200: TaskList },
    }),
    async (c) => {
      const { address } = c.req.valid('param')
      return c.json(await listTasks(networkOf(c.env), { by: 'provider', address }, c.req.valid('query')))
    },
  )
