/** What must be right before anything starts; each fault is one line with its mend. */
import { constants } from 'node:fs'
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type ParseArgsConfig, parseArgs } from 'node:util'

/** A fault that the person at the keyboard can mend; shown without a stack. */
export class Fault extends Error {
  readonly mend: string

  constructor(what: string, mend: string) {
    super(what)
    this.name = 'Fault'
    this.mend = mend
  }
}

export function checkNode(version = process.versions.node): void {
  if (Number(version.split('.')[0]) >= 24) return
  throw new Fault(`Node ${version} is too old to run this.`, 'Run it as `npm start`, which brings its own Node.')
}

/**
 * The command line's arguments.
 * @throws Fault that says how the command is used, when there is one that it does not know
 */
export function parseArguments<const T extends ParseArgsConfig>(
  config: T,
  usage: string,
): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config)
  } catch (error) {
    throw new Fault(`${(error as Error).message}.`, usage)
  }
}

/** Port from the command line or the environment. */
export function parsePort(text: string): number {
  const port = Number(text)
  if (/^\d+$/.test(text) && port < 65_536) return port
  throw new Fault(`"${text}" is not a port.`, 'Choose one from 1 to 65535: PORT=8788 npm start.')
}

export async function checkPort(port: number): Promise<void> {
  if (port === 0) return
  const server = createServer()
  const code = await new Promise<string | undefined>((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ host: '127.0.0.1', port }, () => server.close(() => resolve(undefined)))
  })
  if (code === undefined) return
  if (code === 'EADDRINUSE') {
    throw new Fault(
      `Port ${port} is in use by another program.`,
      `Stop it, or choose another: PORT=${port + 1} npm start.`,
    )
  }
  throw new Fault(`Port ${port} cannot be opened (${code}).`, 'Choose one above 1023: PORT=8788 npm start.')
}

export async function checkState(state: string): Promise<void> {
  try {
    await mkdir(state, { recursive: true })
    await access(state, constants.R_OK | constants.W_OK | constants.X_OK)
    const probe = join(state, '.probe')
    await writeFile(probe, '')
    await rm(probe)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new Fault(
      `The state folder ${state} cannot be used (${code}).`,
      'Make it a folder you may write to, or name another: npm start -- --state DIR.',
    )
  }
}

type Claim = { pid: number; url: string }

/** Throws when another edge works on this state: two would tear it apart. */
export async function checkUnclaimed(state: string): Promise<void> {
  const text = await readFile(claimFile(state), 'utf8').catch(() => undefined)
  if (text === undefined) return
  const claim = parseClaim(text)
  if (!claim || !alive(claim.pid)) return
  const answer = await fetch(`${claim.url}/v1/health`, { signal: AbortSignal.timeout(2000) }).catch(() => undefined)
  if (!answer?.ok) return
  throw new Fault(
    `An edge already works on ${state}: ${claim.url} (process ${claim.pid}).`,
    'Stop that one, or name another state: npm start -- --state DIR.',
  )
}

export const claim = (state: string, claim: Claim): Promise<void> => writeFile(claimFile(state), JSON.stringify(claim))
export const unclaim = (state: string): Promise<void> => rm(claimFile(state), { force: true })

const claimFile = (state: string): string => join(state, 'edge.json')

function parseClaim(text: string): Claim | undefined {
  try {
    const { pid, url } = JSON.parse(text) as Partial<Claim>
    return typeof pid === 'number' && typeof url === 'string' ? { pid, url } : undefined
  } catch {
    return undefined
  }
}

function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
