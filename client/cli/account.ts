/** `daicn login`, `logout`, `whoami` and `keys`. */
import { hostname } from 'node:os'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { parseAmount } from '#core/money.ts'
import type { KeyView, Scope } from '#core/protocol/account.ts'
import { health } from '../account.ts'
import { type Daicn, signIn } from '../daicn.ts'
import { type Cli, edgeOf, NotLoggedIn, open, print, sameEdge, UsageError } from './cli.ts'
import { readKeyFile } from './key-file.ts'
import { privateKeyFile, readLogin, readPrivateKey, removeLogin, writeLogin, writePrivateKey } from './login-file.ts'

const LOW = parseAmount('1')

/** Signs in with the kept Ethereum key, one from a file, or a new one, and keeps an API key made with it. */
export async function login(cli: Cli, { keyFile }: { keyFile?: string }): Promise<void> {
  const { signal } = cli
  const edge = new URL(await edgeOf(cli)).origin
  const { development } = await health({ edge }, { signal })
  const { privateKey, isNew } = await keyFor(keyFile)
  const owner = await signIn({ edge }, privateKeyToAccount(privateKey), { signal })
  if (isNew) await writePrivateKey(privateKey)
  const before = await readLogin()
  const { id: keyId, key } = await owner.keys.create({ name: `daicn on ${hostname()}`.slice(0, 60) }, { signal })
  let account = await owner.account({ signal })
  await writeLogin({ edge, address: account.address, key, keyId })
  if (before && sameEdge(before.edge, edge)) await owner.keys.revoke(before.keyId, { signal }).catch(() => {})
  if (development && parseAmount(account.free) < LOW) account = await owner.faucet({ signal })
  print(cli, { edge, address: account.address, keyId, free: account.free }, () => {
    cli.out.item('edge', edge)
    cli.out.item('address', account.address)
    cli.out.item('free', `${account.free} tokens`)
    if (isNew) cli.err.note(`Your key is in ${privateKeyFile()}. It holds the account: keep a copy.`)
  })
}

async function keyFor(file: string | undefined): Promise<{ privateKey: `0x${string}`; isNew: boolean }> {
  const kept = await readPrivateKey()
  if (file === undefined) return { privateKey: kept ?? generatePrivateKey(), isNew: kept === undefined }
  const privateKey = await readKeyFile(file)
  if (kept !== undefined && kept !== privateKey) {
    throw new UsageError('Another key is kept already', `Move ${privateKeyFile()} away first.`)
  }
  return { privateKey, isNew: kept === undefined }
}

export async function logout(cli: Cli): Promise<void> {
  const login = await readLogin()
  if (!login) throw new NotLoggedIn()
  // An edge that is gone must not keep anybody from logging out.
  const revoked = await ownerOf(login.edge, cli.signal)
    .then((daicn) => daicn.keys.revoke(login.keyId, { signal: cli.signal }))
    .then(() => true)
    .catch(() => false)
  cli.signal.throwIfAborted()
  await removeLogin()
  print(cli, { edge: login.edge, address: login.address, revoked }, () => {
    cli.out.line(`Logged out of ${login.edge}.`)
    if (!revoked) cli.err.warning('The API key could not be revoked.', 'Log in again and run `daicn keys`.')
    cli.err.note(`Your Ethereum key stays in ${privateKeyFile()}.`)
  })
}

export async function whoami(cli: Cli): Promise<void> {
  const edge = await edgeOf(cli)
  const account = await (await open(cli)).account({ signal: cli.signal })
  print(cli, { edge, ...account }, () => {
    cli.out.item('edge', edge)
    cli.out.item('address', account.address)
    cli.out.item('free', `${account.free} tokens`)
    cli.out.item('held', `${account.held} tokens`)
    cli.out.item('spent', `${account.spent} tokens`)
  })
}

export async function listKeys(cli: Cli): Promise<void> {
  const keys = await (await ownerOf(await edgeOf(cli), cli.signal)).keys.list({ signal: cli.signal })
  print(cli, keys, () => {
    cli.out.table(
      ['id', 'name', 'budget', 'ends', 'may'],
      keys.map(({ id, name, budget, expiresAt, scopes }) => [id, name, budget ?? '', day(expiresAt), scopes.join(' ')]),
    )
  })
}

export type NewKey = { budget?: string; scope?: Scope[]; days?: number }

export async function createKey(cli: Cli, name: string, { budget, scope, days }: NewKey): Promise<void> {
  const daicn = await ownerOf(await edgeOf(cli), cli.signal)
  const wanted = {
    name,
    ...(budget !== undefined && { budget }),
    ...(scope !== undefined && { scopes: scope }),
    ...(days !== undefined && { expiresInSeconds: days * 86_400 }),
  }
  const made: KeyView & { key: string } = await daicn.keys.create(wanted, { signal: cli.signal })
  print(cli, made, () => {
    process.stdout.write(`${made.key}\n`)
    cli.err.note('This is the only time it is shown.')
  })
}

export async function revokeKey(cli: Cli, id: string): Promise<void> {
  await (await ownerOf(await edgeOf(cli), cli.signal)).keys.revoke(id, { signal: cli.signal })
  print(cli, { revoked: id }, () => cli.out.line(`Revoked ${id}. It may work for half a minute more.`))
}

/** Signed in with the kept Ethereum key, as making and revoking keys needs. */
async function ownerOf(edge: string, signal: AbortSignal): Promise<Daicn> {
  const privateKey = await readPrivateKey()
  if (privateKey === undefined) throw new NotLoggedIn()
  return signIn({ edge }, privateKeyToAccount(privateKey), { signal })
}

const day = (time: number | undefined): string => (time === undefined ? '' : new Date(time).toISOString().slice(0, 10))
