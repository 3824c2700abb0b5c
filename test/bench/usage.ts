/** What the system says a process uses. Linux only; NaN elsewhere. */
import { readFileSync } from 'node:fs'

/** The clock of /proc ticks 100 times a second on every Linux. */
const TICK_MS = 10

/** Milliseconds of processor time used so far. */
export function cpuMs(pid: number): number {
  const fields = read(`/proc/${pid}/stat`).split(') ')[1]?.split(' ')
  return fields ? (Number(fields[11]) + Number(fields[12])) * TICK_MS : Number.NaN
}

/** Megabytes of memory, shared pages counted in proportion. */
export function memoryMb(pid: number): number {
  const match = /^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`))
  return match ? Number(match[1]) / 1024 : Number.NaN
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
