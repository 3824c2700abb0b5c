/** A requester of the network: a key of its own, an account with tokens in it, an API key for its programs. */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Hex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { parseAmount } from '../core/money.ts'
import type { AccountView, KeyView, SubmitTask, TaskView } from '../core/protocol.ts'
import { ApiError, type Caller, call, send, signIn } from './api.ts'

export type Requester = {
  address: string
  /** Calls with the API key. */
  caller: Caller
  account(): Promise<AccountView>
}

type Task = Pick<SubmitTask, 'kind' | 'input'> & Partial<SubmitTask>

const LOW = parseAmount('1')

/**
 * Opens the requester kept in a folder, or makes one: its private key and API key are there, readable by the owner alone.
 * Its account is filled at the faucet when it holds less than a token.
 */
export async function openRequester(edge: string, folder: string): Promise<Requester> {
  await mkdir(folder, { recursive: true })
  const secret = await keep(join(folder, 'key'), () => `0x${randomBytes(32).toString('hex')}`)
  const account = privateKeyToAccount(secret as Hex)
  const session: Caller = { edge, token: await signIn(edge, account) }
  const view = await call<AccountView>(session, 'GET', '/v1/account')
  if (parseAmount(view.free) < LOW) await call(session, 'POST', '/v1/account/faucet')
  const file = join(folder, 'api-key')
  const makeKey = async () =>
    (await call<KeyView & { key: string }>(session, 'POST', '/v1/keys', { name: 'start' })).key
  let token = await keep(file, makeKey)
  // A folder may be older than the edge's state: then the edge does not know its key.
  if (!(await isValid({ edge, token }))) {
    token = await makeKey()
    await writeFile(file, token, { mode: 0o600 })
  }
  const caller = { edge, token }
  return { address: account.address, caller, account: () => call<AccountView>(caller, 'GET', '/v1/account') }
}

async function isValid(caller: Caller): Promise<boolean> {
  try {
    await call(caller, 'GET', '/v1/account')
    return true
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return false
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

/** Submits a task and waits for its end, for as long as its deadline lets it run. */
export async function runTask(caller: Caller, task: Task): Promise<TaskView> {
  let view = await call<TaskView>(caller, 'POST', '/v1/tasks?waitSeconds=25', task)
  while (view.finishedAt === undefined) view = await readTask(caller, view.id, 25)
  return view
}

export const readTask = (caller: Caller, id: string, waitSeconds = 0): Promise<TaskView> =>
  call<TaskView>(caller, 'GET', `/v1/tasks/${id}?waitSeconds=${waitSeconds}`)

export type Chunk = {
  id: string
  choices: { delta: { content?: string | null }; finish_reason: string | null }[]
}

/** Streams a chat completion through the OpenAI-compatible route; yields its chunks as they come. */
export async function* streamChat(caller: Caller, request: Record<string, unknown>): AsyncGenerator<Chunk> {
  const response = await send(caller, 'POST', '/v1/chat/completions', { ...request, stream: true })
  let text = ''
  for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
    text += part
    const events = text.split('\n\n')
    text = events.pop()!
    for (const event of events) {
      const data = /^data: ?(.*)$/m.exec(event)?.[1]
      if (data === undefined || data === '[DONE]') continue
      const chunk = JSON.parse(data) as Chunk & { error?: { message?: string } }
      if (chunk.error) throw new Error(chunk.error.message ?? 'the stream failed')
      yield chunk
    }
  }
}
