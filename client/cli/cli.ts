/** What every command is given, and how it speaks: results on standard output, all else on standard error. */
import { connect, type Daicn } from '../daicn.ts'
import { readLogin } from './login-file.ts'
import type { Terminal } from './terminal.ts'

export type Cli = {
  /** For programs: standard output holds JSON and nothing else. */
  json: boolean
  /** From --edge. */
  edge: string | undefined
  out: Terminal
  err: Terminal
  /** Aborts at Ctrl-C. */
  signal: AbortSignal
}

/** A mistake at the keyboard; shown with what to type instead. */
export class UsageError extends Error {
  readonly hint: string

  constructor(message: string, hint: string) {
    super(message)
    this.name = 'UsageError'
    this.hint = hint
  }
}

export class NotLoggedIn extends Error {
  readonly code = 'not_logged_in'
  readonly hint = 'Run `daicn login --edge URL`, or set DAICN_EDGE and DAICN_KEY.'

  constructor() {
    super('You are not logged in')
    this.name = 'NotLoggedIn'
  }
}

export const DEFAULT_EDGE = 'http://127.0.0.1:8787'

/** The edge of this call: named for it, or the one that we are logged in to. */
export async function edgeOf(cli: Cli): Promise<string> {
  return cli.edge ?? process.env.DAICN_EDGE ?? (await readLogin())?.edge ?? DEFAULT_EDGE
}

/** With our API key. @throws NotLoggedIn */
export async function open(cli: Cli): Promise<Daicn> {
  const edge = await edgeOf(cli)
  const login = await readLogin()
  const key = process.env.DAICN_KEY ?? (login && sameEdge(login.edge, edge) ? login.key : undefined)
  if (key === undefined) throw new NotLoggedIn()
  return connect({ edge, key })
}

/** Without a key: for what anybody may see. */
export const openPublic = async (cli: Cli): Promise<Daicn> => connect({ edge: await edgeOf(cli) })

export const sameEdge = (one: string, other: string): boolean => new URL(one).origin === new URL(other).origin

/** A result: one line of JSON for programs, or what people read. */
export function print(cli: Cli, value: unknown, human: () => void): void {
  if (cli.json) process.stdout.write(`${JSON.stringify(value)}\n`)
  else human()
}
