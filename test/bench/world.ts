/** What a bench of the whole network stands on: a built edge whose state is in memory where there is such a folder. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildWorker } from '../../scripts/build.ts'
import { type EdgeProcess, spawnEdge } from '../../scripts/edge-process.ts'
import type { Program } from '../../scripts/process.ts'

export type World = {
  edge: EdgeProcess
  /** A folder that goes with the world. */
  state: string
  /** Ends a program with the world: those that came last go first. */
  own<T extends { program: Program }>(started: T): T
}

/** Runs `work` with a built edge and a folder to run it in, which then goes. */
export async function inFolder<T>(work: (state: string) => Promise<T>): Promise<T> {
  const state = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'daicn-bench-'))
  try {
    await buildWorker()
    return await work(state)
  } finally {
    await rm(state, { recursive: true, force: true })
  }
}

/** Runs `work` with an edge of its own, and ends all that it owns whatever comes of it. */
export const inWorld = <T>(work: (world: World) => Promise<T>): Promise<T> => inFolder((state) => workIn(state, work))

async function workIn<T>(state: string, work: (world: World) => Promise<T>): Promise<T> {
  const owned: Program[] = []
  const own: World['own'] = (started) => {
    owned.push(started.program)
    return started
  }
  try {
    return await work({ edge: own(await spawnEdge({ state, build: false })), state, own })
  } finally {
    for (const program of owned.reverse()) await program.kill()
  }
}
