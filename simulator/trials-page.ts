/** What assurances are worth against those who cheat, as a page. */
import { LEVELS } from './cheaters.ts'
import { bars, page, replay, table } from './html.ts'
import { count } from './report.ts'
import { type TrialScore, withinQuote } from './verdicts.ts'

const HEAD = ['', 'wrong first', 'caught', 'quoted', 'brought', 'deceived', 'income', 'results', 'price'] as const

export function trialsPageOf(seed: number, tasks: number, scores: TrialScore[]): string {
  const off = scores.filter((score) => !withinQuote(score)).length
  const verdict = off === 0 ? 'As many were caught as quoted.' : `${off} trials caught fewer or more than quoted.`
  const parts = LEVELS.map((level) =>
    levelOf(
      level,
      scores.filter((score) => score.level === level),
    ),
  )
  return page(
    `Cheaters, seed ${seed}`,
    `<p class="verdict ${off === 0 ? 'good' : 'bad'}">${verdict} ${count(tasks)} tasks a trial.</p>
${parts.join('\n')}
${replay(`npm run simulate -- --cheaters --seed ${seed} --tasks ${tasks}`)}`,
  )
}

function levelOf(level: string, scores: TrialScore[]): string {
  const names = scores.map(({ cheater, share }) => `${Math.round(share * 100)} % ${cheater}`)
  const of = (value: (score: TrialScore) => number | null) => scores.map(value)
  const rows = scores.map((score, n): [string, ...string[]] => {
    const { wrong, caught, quoted, profit, deceived, income, results, price } = score
    const cells = [count(wrong), percent(caught), percent(quoted), tokens(profit), percent(deceived)]
    return [names[n]!, ...cells, income.toFixed(2), results.toFixed(2), price.toFixed(4)]
  })
  const figures = table([[...HEAD], ...rows])
  // Nothing is caught without any, and nothing lost.
  if (level === 'none') return `<h2>none</h2>\n${figures}`
  const caught = of(({ caught }) => caught)
  const quoted = of(({ quoted }) => quoted)
  const loss = of(({ profit }) => (profit === null ? null : -profit))
  const taken = of(({ results }) => results)
  return [
    bars(
      `${level}: wrong results that came first`,
      names,
      [
        ['caught', caught],
        ['quoted', quoted],
      ],
      percent,
    ),
    bars(`${level}: what a wrong result cost its provider, tokens`, names, [['loss', loss]], (amount) =>
      amount.toFixed(1),
    ),
    bars(`${level}: results a task`, names, [['results', taken]], (results) => results.toFixed(2)),
    figures,
  ].join('\n')
}

const percent = (share: number | null): string => (share === null ? 'none' : `${(share * 100).toFixed(1)} %`)
const tokens = (amount: number | null): string => (amount === null ? 'none' : amount.toFixed(3))
