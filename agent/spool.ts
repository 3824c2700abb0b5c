/**
 * Finished results on disk until the edge has answered for them: for each edge one file in `<state>/spool/`, a line for each result
 * and one when it is no longer needed. A result counts as saved when its line is on disk, whatever kills the agent; results that end
 * together are written and synced together.
 */
import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Result } from '#core/protocol/lease.ts'
import { writeWhole } from './whole-file.ts'

export type Spool = {
  /** Resolves when it is on disk. */
  save: (result: Result) => Promise<void>
  remove: (lease: string) => Promise<void>
  /** Results saved for this edge and not yet removed. */
  load: () => Result[]
  /** Lets go of the file; nothing may be under way. */
  close: () => Promise<void>
}

/** A file with more in it than this, and than twice what is needed, is written anew. */
const SLACK_CHARS = 4 * 1024 * 1024

/** @param edge origin of the edge the results are for; files of other edges are left alone */
export async function openSpool(directory: string, edge: string): Promise<Spool> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  // Two edges may name a lease the same.
  const mark = createHash('sha256').update(edge).digest('hex').slice(0, 8)
  const file = join(directory, `${mark}.jsonl`)
  const kept = linesIn(await readFile(file, 'utf8').catch(() => ''))
  let handle: FileHandle | undefined
  let chars = 0
  let keptChars = [...kept.values()].reduce((sum, line) => sum + line.length, 0)
  let waiting = { text: '', isEmpty: false, isDurable: false }
  let next: Promise<void> | undefined
  let last: Promise<void> = Promise.resolve()

  /** One after another; what comes in the meantime goes out together. */
  function write(): Promise<void> {
    next ??= last = last.catch(() => {}).then(writeNow)
    return next
  }

  async function writeNow() {
    next = undefined
    const { text, isEmpty, isDurable } = waiting
    waiting = { text: '', isEmpty: false, isDurable: false }
    if (!handle || chars > 2 * keptChars + SLACK_CHARS) return rewrite()
    try {
      if (isEmpty) await handle.truncate()
      chars = (isEmpty ? 0 : chars) + text.length
      if (text) await handle.appendFile(text)
      if (isDurable) await handle.datasync()
    } catch (error) {
      // What is in it now is unknown; the next write makes it whole.
      await close()
      throw error
    }
  }

  async function rewrite() {
    await close()
    const text = [...kept.values()].join('')
    await writeWhole(file, text)
    handle = await open(file, 'a')
    chars = text.length
  }

  async function close() {
    const open = handle
    handle = undefined
    await open?.close()
  }

  return {
    save(result) {
      const line = `${JSON.stringify({ lease: result.lease, result })}\n`
      keptChars += line.length - (kept.get(result.lease)?.length ?? 0)
      kept.set(result.lease, line)
      waiting.text += line
      waiting.isDurable = true
      return write()
    },

    async remove(lease) {
      const line = kept.get(lease)
      if (line === undefined) return
      kept.delete(lease)
      keptChars -= line.length
      if (kept.size === 0) waiting = { text: '', isEmpty: true, isDurable: false }
      else waiting.text += `${JSON.stringify({ lease })}\n`
      await write()
    },

    load: () => [...kept.values()].map((line) => JSON.parse(line).result as Result),
    close,
  }
}

/** The lines of results that are still needed, by their leases. Half a line, as a kill may leave at the end, is passed over. */
function linesIn(text: string): Map<string, string> {
  const kept = new Map<string, string>()
  for (const line of text.split('\n')) {
    const { lease, result } = parse(line) ?? {}
    if (result) kept.set(result.lease, `${line}\n`)
    else if (lease) kept.delete(lease)
  }
  return kept
}

function parse(line: string): { lease: string; result?: Result } | undefined {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
