/** The rates that the forecast bench reads, also from a file somebody gives it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, expect, test } from 'vitest'
import { RATES, readRates } from '../bench/traces.ts'

const folder = mkdtempSync(join(tmpdir(), 'traces-'))
afterAll(() => rmSync(folder, { recursive: true }))

const fileOf = (content: string | Buffer): string => {
  const file = join(folder, 'rates.csv')
  writeFileSync(file, content)
  return file
}
const HEAD = 'model,t_s,req_per_s\n'

test('the ServeGen rates are there: two models, two weeks of bins without gaps', () => {
  const rates = readRates(RATES)
  expect([...rates.keys()]).toEqual(['m-mid', 'm-small'])
  for (const values of rates.values()) {
    expect(values).toHaveLength(2016)
    expect(values.every((value) => value >= 0)).toBe(true)
  }
})

test('a file may be gzipped, start at any time, mix its models and leave out bins', () => {
  const text = `${HEAD}a,1200,1\nb,0,5\na,1800,2\r\na,3000,\na,3600,nonsense\na,4200,3\n`
  const expected = new Map([
    ['a', [1, 2, Number.NaN, Number.NaN, Number.NaN, 3]],
    ['b', [5]],
  ])
  expect(readRates(fileOf(text))).toEqual(expected)
  expect(readRates(fileOf(gzipSync(text)))).toEqual(expected)
})

test.each([
  ['time,rate\n', /line 1: the columns are not model,t_s,req_per_s/],
  [HEAD, /has no rows/],
  [`${HEAD}a,600,1\na,0,2\n`, /line 3: the bin at 0 s does not come after/],
  [`${HEAD}a,600,1\na,900,2\n`, /line 3: the bin at 900 s does not come after/],
  [`${HEAD}a,soon,1\n`, /line 2: t_s is "soon"/],
])('a file that cannot be read says where: %j', (text, message) => {
  expect(() => readRates(fileOf(text))).toThrow(message)
})
