/** What a login leaves in the user's folder: an Ethereum key, and the API key that programs use. Its owner alone can read it. */
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { ChainView } from '#core/deployment.ts'

export type Login = { edge: string; address: string; key: string; keyId: string }

export function configFolder(): string {
  const { XDG_CONFIG_HOME, APPDATA } = process.env
  return join(XDG_CONFIG_HOME ?? APPDATA ?? join(homedir(), '.config'), 'daicn')
}

const loginFile = () => join(configFolder(), 'login.json')
export const privateKeyFile = () => join(configFolder(), 'key')
export const chainsFile = () => join(configFolder(), 'chains.json')

export async function readLogin(): Promise<Login | undefined> {
  const text = await readIfThere(loginFile())
  return text === undefined ? undefined : (JSON.parse(text) as Login)
}

export const writeLogin = (login: Login): Promise<void> =>
  writePrivate(loginFile(), `${JSON.stringify(login, null, 2)}\n`)
export const removeLogin = (): Promise<void> => rm(loginFile(), { force: true })

export async function readPrivateKey(): Promise<`0x${string}` | undefined> {
  return (await readIfThere(privateKeyFile()))?.trim() as `0x${string}` | undefined
}

export const writePrivateKey = (key: `0x${string}`): Promise<void> => writePrivate(privateKeyFile(), `${key}\n`)

/** Whole or not at all, and never readable by others, not even for a moment. */
async function writePrivate(file: string, text: string): Promise<void> {
  const folder = configFolder()
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const draft = `${file}.${process.pid}`
  await writeFile(draft, text, { mode: 0o600, flag: 'wx' })
  await rename(draft, file)
  await chmod(folder, 0o700)
}

/** What edges said of their chains when they were first asked, by the edge's origin. */
export async function readChains(): Promise<Record<string, ChainView>> {
  return JSON.parse((await readIfThere(chainsFile())) ?? '{}') as Record<string, ChainView>
}

export const writeChains = (chains: Record<string, ChainView>): Promise<void> =>
  writePrivate(chainsFile(), `${JSON.stringify(chains, null, 2)}\n`)

async function readIfThere(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}
