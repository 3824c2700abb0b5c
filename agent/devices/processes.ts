/** The processes behind a port of this machine, by Linux's /proc, as far as our user may read it. */
import { readdir, readFile, readlink } from 'node:fs/promises'

/** `cardFiles`: the device files of cards that they hold open; undefined where one of them does not let that be seen. */
export type Processes = { pids: Set<number>; cardFiles: string[] | undefined }

/** A card computes for nobody who has not opened one of these: NVIDIA's, AMD's, any by its render node, those of WSL. */
const CARD_FILES = /^\/dev\/(nvidia|kfd|dri\/|dxg)/

/** Who listens on the port, with all that it has started. Undefined where that cannot be told, as of another user's process. */
export async function processesOn(port: number): Promise<Processes | undefined> {
  const tables = await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map(textOf))
  const sockets = new Set(tables.flatMap((table) => listenersIn(table, port)).map((inode) => `socket:[${inode}]`))
  if (sockets.size === 0) return undefined
  const all = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const openFiles = new Map(await Promise.all(all.map(async (pid) => [pid, await filesOf(pid)] as const)))
  const pids = new Set(all.filter((pid) => openFiles.get(pid)?.some((file) => sockets.has(file))))
  if (pids.size === 0) return undefined
  const parents = await Promise.all(all.map(async (pid) => [pid, parentIn(await textOf(`/proc/${pid}/stat`))] as const))
  // A set that is walked also gives what is added on the way.
  for (const pid of pids) for (const [child, parent] of parents) if (parent === pid) pids.add(child)
  const files = [...pids].map((pid) => openFiles.get(pid))
  const isWhole = files.every((some) => some !== undefined)
  return { pids, cardFiles: isWhole ? files.flat().filter((file) => CARD_FILES.test(file)) : undefined }
}

const LISTENING = '0A'

/** Inodes of the sockets that listen on the port, in the text of /proc/net/tcp or tcp6. */
export const listenersIn = (table: string, port: number): string[] =>
  table.split('\n').flatMap((line) => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/)
    const isIt = state === LISTENING && Number.parseInt(local.split(':')[1] ?? '', 16) === port
    return isIt ? [inode] : []
  })

/** The parent's id, in the text of /proc/PID/stat; the program's name before it may hold anything. */
export const parentIn = (stat: string): number => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])

/** What the process has open; undefined for one that is another's, or gone. */
async function filesOf(pid: number): Promise<string[] | undefined> {
  const folder = `/proc/${pid}/fd`
  const names = await readdir(folder).catch(() => undefined)
  return names && Promise.all(names.map((name) => readlink(`${folder}/${name}`).catch(() => '')))
}

const textOf = (file: string) => readFile(file, 'utf8').catch(() => '')
