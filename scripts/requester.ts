/** A requester of the network: a key of its own, an account with tokens in it, an API key for its programs. */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Hex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { connect, type Daicn, signIn } from '../client/daicn.ts'
import { DaicnError } from '../client/error.ts'
import { parseAmount } from '../core/money.ts'

export type Requester = { address: string; apiKey: string; daicn: Daicn }

const LOW = parseAmount('1')

/**
 * Opens the requester kept in a folder, or makes one: its private key and API key are there, readable by the owner alone.
 * Its account is filled at the faucet when it holds less than a token.
 */
export async function openRequester(edge: string, folder: string): Promise<Requester> {
  await mkdir(folder, { recursive: true })
  const secret = await keep(join(folder, 'key'), () => `0x${randomBytes(32).toString('hex')}`)
  const owner = await signIn({ edge }, privateKeyToAccount(secret as Hex))
  const { address, free } = await owner.account()
  if (parseAmount(free) < LOW) await owner.faucet()
  const file = join(folder, 'api-key')
  const makeKey = async () => (await owner.keys.create({ name: 'start' })).key
  let apiKey = await keep(file, makeKey)
  // A folder may be older than the edge's state: then the edge does not know its key.
  if (!(await isValid(edge, apiKey))) {
    apiKey = await makeKey()
    await writeFile(file, apiKey, { mode: 0o600 })
  }
  return { address, apiKey, daicn: connect({ edge, key: apiKey }) }
}

async function isValid(edge: string, key: string): Promise<boolean> {
  try {
    await connect({ edge, key }).account()
    return true
  } catch (error) {
    if (error instanceof DaicnError && error.status === 401) return false
    throw error
  }
}

async function keep(file: string, make: () => string | Promise<string>): Promise<string> {
  const kept = await readFile(file, 'utf8').catch(() => undefined)
  if (kept !== undefined) return kept.trim()
  const made = await make()
  await writeFile(file, made, { mode: 0o600, flag: 'wx' })
  return made
}
