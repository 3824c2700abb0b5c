/** Tasks for real agents. */
import { readFile } from 'node:fs/promises'
import type { Address, TaskView } from '../../core/protocol.ts'
import { call } from '../../scripts/api.ts'
import { inRoot } from '../../scripts/paths.ts'
import { readTask } from '../../scripts/requester.ts'
import type { Member } from './fault-world.ts'

/** Enough sentences for the embedder to be busy for a second or more. */
export function longEmbedding(exclude: Address[] = []) {
  const texts = Array.from({ length: 64 }, (_, i) => `${i}. ${'A small boat crosses the bay at dawn. '.repeat(3)}`)
  return { kind: 'text.embed', input: { texts }, requirements: { exclude } }
}

export async function pageToRead() {
  const image = (await readFile(inRoot('scripts/demo/page.png'))).toString('base64')
  return { kind: 'doc.ocr', input: { image, mediaType: 'image/png' } }
}

export const submit = ({ caller }: Member, task: object): Promise<TaskView> =>
  call<TaskView>(caller, 'POST', '/v1/tasks', task)

/** Reads a task when it has ended; rejects if it has not within the time. */
export async function untilEnded({ caller }: Member, id: string, timeoutMs: number): Promise<TaskView> {
  const until = Date.now() + timeoutMs
  for (;;) {
    const view = await readTask(caller, id, Math.min(25, Math.max((until - Date.now()) / 1000, 0)))
    if (view.finishedAt !== undefined) return view
    if (Date.now() >= until) throw new Error(`task ${id} is still ${view.status}: ${JSON.stringify(view.attempts)}`)
  }
}
