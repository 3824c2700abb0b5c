/** Series of several kinds in bins of ten minutes, each from a seed: what a market's demand may look like. */
import { DAY_BINS } from '#core/forecast/history.ts'
import { mulberry32 } from './random.ts'

type Random = () => number

export const SERIES = {
  noise: each((normal) => () => 100 + 20 * normal()),
  stationary: each((normal) => {
    const level = drift(0.8, normal)
    return () => 100 + 8 * level()
  }),
  seasonal: each((normal) => {
    const level = drift(0.9, normal)
    return (i) => daily(i) * Math.exp(0.03 * level() + 0.05 * normal())
  }),
  weekly: each((normal) => {
    const level = drift(0.9, normal)
    return (i) => (Math.floor(i / DAY_BINS) % 7 < 5 ? 1 : 0.45) * daily(i) * Math.exp(0.04 * level() + 0.05 * normal())
  }),
  trending: each((normal) => {
    const level = drift(0.9, normal)
    return (i) => 50 + i * 0.2 + 6 * level()
  }),
  walk: each((normal) => {
    const level = drift(0.998, normal)
    return () => 1000 * Math.exp(0.05 * level() + 0.03 * normal())
  }),
  bursty: each((normal, random) => {
    let burst = 0
    return () => {
      burst = burst * 0.85 + (random() < 0.02 ? 100 * (1 - Math.log(1 - random())) : 0)
      return (30 + burst) * Math.exp(0.15 * normal())
    }
  }),
  regimes: each((normal, random) => {
    let level = 100
    let spread = 0.1
    return () => {
      if (random() < 1 / 150) {
        level = 20 + 400 * random()
        spread = 0.03 + 0.3 * random()
      }
      return level * Math.exp(spread * normal())
    }
  }),
  outages: each((normal, random) => {
    const level = drift(0.97, normal)
    let down = 0
    return (i) => {
      if (down > 0) down--
      else if (random() < 0.008) down = 1 + Math.floor(random() * 10)
      const up = daily(i) * Math.exp(0.05 * level() + 0.03 * normal())
      return down > 0 ? 0 : up
    }
  }),
} satisfies Record<string, (seed: number, length: number) => number[]>

const daily = (i: number): number => {
  const phase = (2 * Math.PI * i) / DAY_BINS
  return 200 + 120 * Math.sin(phase) + 40 * Math.sin(2 * phase + 1)
}

/** A series from what makes, for one seed, the function of an index that gives its values in turn. */
function each(make: (normal: Random, random: Random) => (i: number) => number) {
  return (seed: number, length: number): number[] => {
    const random = mulberry32(seed)
    const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
    const value = make(normal, random)
    return Array.from({ length }, (_, i) => Math.max(0, value(i)))
  }
}

/** An autoregression of the first order with steps of one. */
function drift(keep: number, normal: Random): Random {
  let value = 0
  return () => {
    value = keep * value + normal()
    return value
  }
}
