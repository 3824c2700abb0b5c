import { CELLS } from './env.ts'
import type { History } from './store/history.ts'

/** The lines of an hour of the public log, in its order. */
export async function* linesOf(history: History, hour: number): AsyncGenerator<string> {
  for (const cell of CELLS) {
    for await (const records of history.readPages(cell, hour)) {
      for (const record of records) yield JSON.stringify(record)
    }
  }
}
