/** The content of files, in R2, cut into pages so that nobody ever holds a whole file in memory. */
import type { Address } from '#core/protocol/values.ts'

export type Files = ReturnType<typeof openFiles>

export function openFiles(bucket: R2Bucket) {
  const prefix = (owner: Address, id: string) => `${owner}/files/${id}/`
  async function* keys(owner: Address, id: string): AsyncGenerator<string[]> {
    let cursor: string | undefined
    do {
      const list = await bucket.list({ prefix: prefix(owner, id), ...(cursor !== undefined && { cursor }) })
      yield list.objects.map(({ key }) => key)
      cursor = list.truncated ? list.cursor : undefined
    } while (cursor !== undefined)
  }
  return {
    /** @param page names whose order is the order of the content */
    async put(owner: Address, id: string, page: string, content: Uint8Array | string): Promise<void> {
      await bucket.put(prefix(owner, id) + page, content)
    },

    async page(owner: Address, id: string, page: string): Promise<Uint8Array | null> {
      const object = await bucket.get(prefix(owner, id) + page)
      return object && new Uint8Array(await object.arrayBuffer())
    },

    /** The whole content, a page at a time. */
    async *content(owner: Address, id: string): AsyncGenerator<Uint8Array> {
      for await (const some of keys(owner, id)) {
        for (const key of some) yield new Uint8Array(await (await bucket.get(key))!.arrayBuffer())
      }
    },

    async remove(owner: Address, id: string): Promise<void> {
      for await (const some of keys(owner, id)) if (some.length > 0) await bucket.delete(some)
    },
  }
}
