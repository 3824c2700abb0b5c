import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseHidIdle, parseNvidiaGauges, parseRocmGauges, parseSeat, readGauges } from '#agent/devices/gauges.ts'
import { type Limits, obstacleOf } from '#agent/limits.ts'
import { isWithin, nextStart, parseSchedule } from '#agent/schedule.ts'

const NONE: Limits = { idleMinutes: undefined, schedule: [], celsius: undefined, watts: undefined }
const FRIDAY_NOON = new Date(2026, 0, 2, 12)
const at = (hours: number, date = 2) => new Date(2026, 0, date, hours, 30)

test('hours that end before they begin end on the next day, and belong to the day of their beginning', () => {
  const nights = parseSchedule('mon-fri 18:00-08:00')
  expect(
    [at(17), at(18), at(23), at(7, 3), at(8, 3), at(19, 3), at(3, 5)].map((date) => isWithin(nights, date)),
  ).toEqual([
    ...[false, true, true, true, false],
    // Saturday evening, and the night to Monday.
    ...[false, false],
  ])
  expect(nextStart(nights, FRIDAY_NOON)).toBe('fri 18:00')
  expect(nextStart(nights, at(12, 3))).toBe('mon 18:00')
  expect(isWithin(parseSchedule('sat-sun'), at(0, 3))).toBe(true)
  expect(isWithin(parseSchedule('22:00-07:00'), at(6))).toBe(true)
  expect(isWithin([], FRIDAY_NOON)).toBe(true)
})

test('a minute is within a schedule or outside of what is left of the week', () => {
  const clock = (minutes: number) => `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}`
  const minute = fc.integer({ min: 0, max: 1439 })
  const date = fc.date({ min: new Date(2026, 0, 1), max: new Date(2027, 0, 1), noInvalidDate: true })
  fc.assert(
    fc.property(minute, minute, date, (from, to, date) => {
      fc.pre(from !== to)
      const day = parseSchedule(`${clock(from)}-${clock(to)}`)
      const night = parseSchedule(`${clock(to)}-${clock(from)}`)
      expect(isWithin(day, date)).not.toBe(isWithin(night, date))
    }),
  )
})

test.each(['', 'mon-', 'someday', 'mon 25:00-26:00', 'mon 8:60-9:00', '8:00-8:00', 'mon 8-9', 'monday 8:00-9:00'])(
  'a schedule of %o is refused',
  (text) => {
    expect(() => parseSchedule(text)).toThrow('as in mon-fri 18:00-08:00')
  },
)

test('what stands against work is said in words, and what no tool tells stands against it too', () => {
  const why = (limits: Partial<Limits>, reading = {}, before?: { why: string; isHot?: true }) =>
    obstacleOf({ ...NONE, ...limits }, reading, FRIDAY_NOON, before)?.why
  expect(why({})).toBeUndefined()
  expect(why({ schedule: parseSchedule('sat') })).toContain('go on sat 00:00')
  expect(why({ idleMinutes: 10 }, { untouchedMs: 599_999 })).toContain('left alone for 10 min')
  expect(why({ idleMinutes: 10 }, { untouchedMs: 600_000 })).toBeUndefined()
  expect(why({ idleMinutes: 10 })).toContain('install xprintidle')
  expect(why({ watts: 250 }, { watts: 450 })).toContain('nvidia-smi -pl 250')
  expect(why({ watts: 250 }, { watts: 250 })).toBeUndefined()
  expect(why({ watts: 250 })).toContain('no tool')
  expect(why({ celsius: 80 })).toContain('no tool')
})

test('a card that was too warm works again when it has cooled down', () => {
  const limits = { ...NONE, celsius: 80 }
  const hot = obstacleOf(limits, { celsius: 81 }, FRIDAY_NOON, undefined)
  expect(hot?.why).toContain('81 °C')
  expect(obstacleOf(limits, { celsius: 78 }, FRIDAY_NOON, undefined)).toBeUndefined()
  expect(obstacleOf(limits, { celsius: 78 }, FRIDAY_NOON, hot)).toBeDefined()
  expect(obstacleOf(limits, { celsius: 75 }, FRIDAY_NOON, hot)).toBeUndefined()
})

test('temperatures, caps and idle times are read from what the tools print', async () => {
  expect(parseNvidiaGauges('34, 700.00\n61, [N/A]\n[N/A], [N/A]\n')).toEqual([
    { celsius: 34, watts: 700 },
    { celsius: 61, watts: undefined },
  ])
  expect(parseNvidiaGauges('No devices were found\n')).toEqual([])
  const rocm = {
    card0: {
      'Temperature (Sensor edge) (C)': '41.0',
      'Temperature (Sensor junction) (C)': '47.0',
      'Max Graphics Package Power (W)': '263.0',
    },
    system: { 'Driver version': '6.8.5' },
  }
  expect(parseRocmGauges(JSON.stringify(rocm))).toEqual([{ celsius: 41, watts: 263 }])
  expect(parseRocmGauges('')).toEqual([])
  expect(parseHidIdle('    | |   "HIDIdleTime" = 61234567890\n')).toBe(61234.56789)
  expect(parseSeat('IdleHint=yes\nIdleSinceHint=1700000000000000\n', 1_700_000_060_000)).toBe(60_000)
  expect(parseSeat('IdleHint=no\nIdleSinceHint=1700000000000000\n', 1_700_000_060_000)).toBe(0)
  expect(parseSeat("Failed to get path for seat 'seat0'", 0)).toBeUndefined()

  const asked: string[] = []
  const tool = async (program: string) => {
    asked.push(program)
    if (program === 'nvidia-smi') return '34, 300.00\n84, 450.00\n'
    return program === 'xprintidle' ? '120000\n' : undefined
  }
  expect(await readGauges({ ...NONE, watts: 300, idleMinutes: 1 }, tool, 0, 'linux')).toMatchObject({
    untouchedMs: 120_000,
    watts: 450,
  })
  // What is not limited is not asked for.
  asked.length = 0
  await readGauges(NONE, tool, 0, 'linux')
  expect(asked).toEqual([])
})
