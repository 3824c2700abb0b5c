/** Tasks for real agents. */
import { readFile } from 'node:fs/promises'
import { crc32, deflateSync, inflateSync } from 'node:zlib'
import { call } from '../../client/edge.ts'
import type { TaskView } from '../../core/protocol/task.ts'
import type { Address } from '../../core/protocol/values.ts'
import { inRoot } from '../../scripts/paths.ts'
import { type Member, readTask } from './fault-world.ts'

/** Enough sentences for the embedder to be busy for a second or more. */
export function longEmbedding(exclude: Address[] = []) {
  const texts = Array.from({ length: 64 }, (_, i) => `${i}. ${'A small boat crosses the bay at dawn. '.repeat(3)}`)
  return { kind: 'text.embed', input: { texts }, requirements: { exclude } }
}

export async function pageToRead() {
  const image = (await readFile(inRoot('scripts/demo/page.png'))).toString('base64')
  return { kind: 'doc.ocr', input: { image, mediaType: 'image/png' } }
}

/** The same page without compression, so that it is too large for an input. */
export async function largePage(): Promise<Buffer> {
  const png = await readFile(inRoot('scripts/demo/page.png'))
  const head: Buffer[] = [png.subarray(0, 8)]
  const pixels: Buffer[] = []
  for (let at = 8; at < png.length; ) {
    const end = at + 12 + png.readUInt32BE(at)
    const type = png.toString('latin1', at + 4, at + 8)
    if (type === 'IDAT') pixels.push(png.subarray(at + 8, end - 4))
    else if (type !== 'IEND') head.push(png.subarray(at, end))
    at = end
  }
  const data = deflateSync(inflateSync(Buffer.concat(pixels)), { level: 0 })
  return Buffer.concat([...head, chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))])
}

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const around = Buffer.alloc(8)
  around.writeUInt32BE(data.length)
  around.writeUInt32BE(crc32(named), 4)
  return Buffer.concat([around.subarray(0, 4), named, around.subarray(4)])
}

export const submit = ({ caller }: Member, task: object): Promise<TaskView> =>
  call<TaskView>(caller, 'POST', '/v1/tasks', { body: task })

/** Reads a task when it has ended; rejects if it has not within the time. */
export async function untilEnded(who: Member, id: string, timeoutMs: number): Promise<TaskView> {
  const until = Date.now() + timeoutMs
  for (;;) {
    const view = await readTask(who, id, Math.min(25, Math.max((until - Date.now()) / 1000, 0)))
    if (view.finishedAt !== undefined) return view
    if (Date.now() >= until) throw new Error(`task ${id} is still ${view.status}: ${JSON.stringify(view.attempts)}`)
  }
}
