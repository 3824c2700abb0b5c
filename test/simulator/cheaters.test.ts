import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { LEVELS, type Trial } from '../../simulator/cheaters.ts'
import { trialsPageOf } from '../../simulator/trials-page.ts'
import { SLASH_BASIS_POINTS, STAKE, scoreOf } from '../../simulator/verdicts.ts'

const trial = (cheater: Trial['cheater'], level: Trial['level'], tasks = 400) =>
  scoreOf({ cheater, share: 0.3, level }, 5, tasks)

test('wrong results that nobody else gives are caught as quoted, and colluders as often as the quote says of their share', () => {
  expect(trial('lazy', 'none')).toMatchObject({ caught: 0, quoted: 0 })
  expect(trial('whitewashing', 'spot')).toMatchObject({ caught: 1, quoted: 1, deceived: 0, income: 0 })
  const colluding = trial('colluding', 'quorum(3,2)')
  // Of some 250 results chance alone makes six points.
  expect(Math.abs(colluding.caught! - colluding.quoted!)).toBeLessThan(0.1)
  expect(colluding.quoted).toBeCloseTo(0.49)
  expect(colluding.profit).toBeLessThan(0)
})

test('canaries catch those that collude as those that do not, and make it a loss where nobody asked for an assurance', () => {
  expect(trial('colluding', 'none').profit).toBeGreaterThan(0)
  const colluding = trial('colluding', 'canaries')
  expect(colluding.wrong).toBeGreaterThan(0)
  expect(colluding).toMatchObject({ caught: 1, quoted: expect.closeTo(0.9987, 4) })
  expect(colluding.profit).toBeLessThan(0)
})

test('the same seed gives the same trial', () => {
  expect(trial('colluding', 'spot', 80)).toEqual(trial('colluding', 'spot', 80))
})

test('the page shows each level with its plots and what is behind them, and how to get it again', () => {
  const scores = LEVELS.map((level) => trial('lazy', level, 20))
  const page = trialsPageOf(5, 20, scores)
  for (const level of LEVELS) expect(page).toContain(`<h2>${level}`)
  // Three levels at which anything is caught.
  expect(page.match(/<svg /g)).toHaveLength(9)
  expect(page.match(/<th scope="row">30 % lazy<\/th>/g)).toHaveLength(4)
  expect(page).toContain('npm run simulate -- --cheaters --seed 5 --tasks 20')
  expect(page).not.toMatch(/NaN|undefined|Infinity/)
})

test('the stake is the one that the contracts begin with', () => {
  const contract = readFileSync('contracts/src/Parameters.sol', 'utf8')
  expect(contract).toContain(`_set(Name.MinimumStake, ${STAKE / 10n ** 18n} ether)`)
  expect(contract).toContain(`_set(Name.WrongResultSlash, ${SLASH_BASIS_POINTS})`)
})
