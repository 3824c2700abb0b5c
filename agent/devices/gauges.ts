/** How warm the machine is, what its cards may draw, and how long nobody has touched it: by whichever tool there is. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Limits, Reading } from '../limits.ts'
import { cardsIn } from './amd.ts'
import type { Ask } from './device.ts'

type Gauge = { celsius: number | undefined; watts: number | undefined }

/** Asks only for what is limited. */
export async function readGauges(limits: Limits, ask: Ask, now: number, platform = process.platform): Promise<Reading> {
  const { idleMinutes, celsius, watts } = limits
  const isCards = celsius !== undefined || watts !== undefined
  const [untouchedMs, cards, processor] = await Promise.all([
    idleMinutes === undefined ? undefined : untouched(ask, now, platform),
    isCards ? readCards(ask) : [],
    celsius === undefined ? [] : processorCelsius(),
  ])
  return {
    untouchedMs,
    celsius: highest([...cards.map((card) => card.celsius), ...processor]),
    watts: highest(cards.map((card) => card.watts)),
  }
}

/** Lets no card draw more; only root may, and who may not is refused by the tool. */
export async function capCards(watts: number, ask: Ask): Promise<void> {
  await ask('nvidia-smi', ['-pl', String(watts)])
  await ask('rocm-smi', ['--setpoweroverdrive', String(watts), '--autorespond', 'y'])
}

async function readCards(ask: Ask): Promise<Gauge[]> {
  const [nvidia, amd] = await Promise.all([
    ask('nvidia-smi', ['--query-gpu=temperature.gpu,power.limit', '--format=csv,noheader,nounits']),
    ask('rocm-smi', ['--showtemp', '--showmaxpower', '--json']),
  ])
  return [...parseNvidiaGauges(nvidia ?? ''), ...parseRocmGauges(amd ?? '')]
}

/** Rows of `--query-gpu=temperature.gpu,power.limit`; a card that does not know writes [N/A]. */
export const parseNvidiaGauges = (csv: string): Gauge[] =>
  csv.split('\n').flatMap((line) => {
    const [celsius, watts] = line.split(',').map(numberIn)
    return celsius === undefined && watts === undefined ? [] : [{ celsius, watts }]
  })

/** The JSON of `rocm-smi --showtemp --showmaxpower --json`: several sensors, of which the edge is what NVIDIA shows too. */
export const parseRocmGauges = (json: string): Gauge[] =>
  cardsIn(json).map(([, properties]) => ({
    celsius: numberIn(properties['Temperature (Sensor edge) (C)'] ?? properties['Temperature (Sensor junction) (C)']),
    watts: numberIn(properties['Max Graphics Package Power (W)']),
  }))

const SENSORS = new Set(['coretemp', 'k10temp', 'zenpower', 'cpu_thermal'])

/** Linux alone tells it without root: in thousandths of a degree. */
async function processorCelsius(root = '/sys/class/hwmon'): Promise<number[]> {
  const chips = await readdir(root).catch(() => [])
  const all = chips.map(async (chip) => {
    const folder = join(root, chip)
    const text = (file: string) => readFile(join(folder, file), 'utf8').catch(() => '')
    if (!SENSORS.has((await text('name')).trim())) return []
    const files = (await readdir(folder)).filter((file) => /^temp\d+_input$/.test(file))
    const values = await Promise.all(files.map(async (file) => numberIn(await text(file))))
    return values.flatMap((value) => (value === undefined ? [] : [Math.round(value / 1000)]))
  })
  return (await Promise.all(all)).flat()
}

async function untouched(ask: Ask, now: number, platform: NodeJS.Platform): Promise<number | undefined> {
  if (platform === 'darwin') return parseHidIdle((await ask('ioreg', ['-c', 'IOHIDSystem', '-d', '4'])) ?? '')
  const x = numberIn(await ask('xprintidle', []))
  if (x !== undefined) return x
  return parseSeat((await ask('loginctl', ['show-seat', 'seat0', '-p', 'IdleHint', '-p', 'IdleSinceHint'])) ?? '', now)
}

/** `"HIDIdleTime" = 1234567890` in what ioreg prints, nanoseconds. */
export function parseHidIdle(text: string): number | undefined {
  const [, nanoseconds] = /"HIDIdleTime" = (\d+)/.exec(text) ?? []
  return nanoseconds === undefined ? undefined : Number(nanoseconds) / 1e6
}

/** `IdleHint=yes` and `IdleSinceHint=` in microseconds of Unix time; a seat in use says no. */
export function parseSeat(text: string, now: number): number | undefined {
  const [, hint] = /^IdleHint=(yes|no)$/m.exec(text) ?? []
  const [, since] = /^IdleSinceHint=(\d+)$/m.exec(text) ?? []
  if (hint === undefined || since === undefined) return undefined
  return hint === 'no' ? 0 : Math.max(now - Number(since) / 1000, 0)
}

function numberIn(text: string | undefined): number | undefined {
  const value = Number(text?.trim() || Number.NaN)
  return Number.isFinite(value) ? value : undefined
}

function highest(values: (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined)
  return known.length > 0 ? Math.max(...known) : undefined
}
