import { Hono } from 'hono'
import { mergedDecisions } from '#core/merged.ts'
import { DecisionList } from '#core/protocol/decision.ts'
import { type Env, networkOf } from '../env.ts'
import { operation } from '../middleware/operation.ts'

export const decisions = new Hono<{ Bindings: Env }>().get(
  '/',
  operation({
    summary: 'The latest tasks that were given out, and why to whom',
    details:
      'The last 50, latest first: the rule, the winner, and the few other offers with most merit, each with its merit or why it was no candidate. Tasks with an assurance are told once they are over.',
    access: 'anyone',
    answers: { 200: DecisionList },
  }),
  async (c) =>
    c.json({ decisions: mergedDecisions(await networkOf(c.env).everywhere((market) => market.decisions())) }),
)
