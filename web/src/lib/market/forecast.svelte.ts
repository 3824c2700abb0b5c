import { insist } from '#client/edge.ts'
import type { ForecastView } from '#core/protocol/forecast.ts'

/** Forecasts move slowly. */
const REFRESH_MS = 10_000

/** What is ahead of every class of work, asked for again while somebody looks. */
export function createForecast() {
  let view = $state.raw<ForecastView | null>(null)
  let fault = $state.raw<unknown>(null)

  async function load() {
    try {
      view = await insist<ForecastView>({ edge: location.origin }, 'GET', '/v1/forecast')
      fault = null
    } catch (error) {
      fault = error
    }
  }

  return {
    /** Null before the first answer. */
    get view() {
      return view
    },
    get fault() {
      return fault
    },
    load,
    /** @returns how to stop */
    start() {
      void load()
      const timer = setInterval(() => document.visibilityState === 'visible' && void load(), REFRESH_MS)
      return () => clearInterval(timer)
    },
  }
}
