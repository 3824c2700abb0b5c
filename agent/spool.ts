/**
 * Finished results on disk until the edge has answered for them, one JSON file per lease in `<state>/spool/`.
 * A file appears by rename after its bytes are on disk, so it is whole or not there, whatever kills the agent.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Result } from '#core/protocol.ts'
import { writeWhole } from './whole-file.ts'

export type Spool = {
  save: (result: Result) => Promise<void>
  remove: (lease: string) => Promise<void>
  /** Results saved for this edge and not yet removed. */
  load: () => Promise<Result[]>
}

/** @param edge origin of the edge the results are for; files of other edges are left alone */
export async function openSpool(directory: string, edge: string): Promise<Spool> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  // Two edges may name a lease the same.
  const mark = createHash('sha256').update(edge).digest('hex').slice(0, 8)
  const fileOf = (lease: string) => join(directory, `${encodeURIComponent(lease)}.${mark}.json`)

  return {
    save: (result) => writeWhole(fileOf(result.lease), JSON.stringify({ edge, result })),

    remove: (lease) => rm(fileOf(lease), { force: true }),

    async load() {
      const results: Result[] = []
      for (const name of await readdir(directory)) {
        const file = join(directory, name)
        if (name.endsWith('.part')) await rm(file, { force: true })
        if (!name.endsWith('.json')) continue
        const saved = parse(await readFile(file, 'utf8'))
        if (saved?.edge === edge) results.push(saved.result)
      }
      return results
    },
  }
}

function parse(text: string): { edge: string; result: Result } | undefined {
  try {
    const { edge, result } = JSON.parse(text)
    return { edge, result: Result.parse(result) }
  } catch {
    return undefined
  }
}
