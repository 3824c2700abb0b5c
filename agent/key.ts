/** The agent's Ethereum key: made once, kept in a file only its owner can read. */
import { chmod, mkdir, open, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { generatePrivateKey, type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'

export async function loadAccount(state: string): Promise<PrivateKeyAccount> {
  await mkdir(state, { recursive: true, mode: 0o700 })
  const file = join(state, 'key')
  return privateKeyToAccount(((await read(file)) ?? (await create(file))) as `0x${string}`)
}

async function read(file: string): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return undefined
  if (!/^0x[0-9a-f]{64}$/.test(text.trim()))
    throw new Error(`${file} holds no key; move it away to have a new one made`)
  if ((await stat(file)).mode & 0o077) await chmod(file, 0o600)
  return text.trim()
}

async function create(file: string): Promise<string> {
  const key = generatePrivateKey()
  const handle = await open(file, 'wx', 0o600)
  try {
    await handle.writeFile(`${key}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  return key
}
