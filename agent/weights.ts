import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'

/** SHA-256 over the bytes of a model's files, in the order given. */
export async function weightsDigest(files: string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const file of files) for await (const chunk of createReadStream(file)) hash.update(chunk)
  return `sha256:${hash.digest('hex')}`
}
