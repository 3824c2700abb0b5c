import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { UsageError } from './cli.ts'

/** The key in a file, or on standard input for -. @throws UsageError when it holds none */
export async function readKeyFile(file: string): Promise<`0x${string}`> {
  const given = (file === '-' ? await text(process.stdin) : await readFile(file, 'utf8')).trim()
  const privateKey = given.startsWith('0x') ? given : `0x${given}`
  if (/^0x[0-9a-fA-F]{64}$/.test(privateKey)) return privateKey as `0x${string}`
  throw new UsageError(`${file} holds no Ethereum key`, 'Give a file with 64 hexadecimal digits.')
}
