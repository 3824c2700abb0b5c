import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { openSpool } from '#agent/spool.ts'
import type { Result } from '#core/protocol.ts'

const EDGE = 'https://edge.example'
const directory = () => mkdtemp(join(tmpdir(), 'spool-'))
const returned = (lease: string): Result => ({ lease, outcome: { status: 'returned' } })

test('a result is there until it is removed, for its edge only', async () => {
  const path = await directory()
  const spool = await openSpool(path, EDGE)
  await spool.save(returned('a.1'))
  await spool.save(returned('../b/..%.1'))
  const leases = async (edge: string) => (await (await openSpool(path, edge)).load()).map(({ lease }) => lease).sort()
  expect(await leases(EDGE)).toEqual(['../b/..%.1', 'a.1'])
  expect(await leases('https://other.example')).toEqual([])
  await spool.remove('a.1')
  await spool.remove('a.1')
  expect(await leases(EDGE)).toEqual(['../b/..%.1'])
})

test('half-written and broken files are passed over', async () => {
  const path = await directory()
  await writeFile(join(path, 'a.1.json.part'), '{"edge":')
  await writeFile(join(path, 'b.1.json'), '{"edge":"https://edge.example","result":{}}')
  expect(await (await openSpool(path, EDGE)).load()).toEqual([])
  expect(await readdir(path)).toEqual(['b.1.json'])
})

test('whatever was saved survives a kill of the process that saved it', async () => {
  const path = await directory()
  const writer = spawn(
    process.execPath,
    [new URL('../support/spool-writer.ts', import.meta.url).pathname, path, EDGE],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  let saved = 0
  for await (const line of createInterface(writer.stdout)) {
    saved = Number(line)
    if (saved === 20) break
  }
  writer.kill('SIGKILL')
  await once(writer, 'exit')
  const results = await (await openSpool(path, EDGE)).load()
  expect(results.length).toBeGreaterThanOrEqual(saved)
  for (const { outcome } of results) {
    if (outcome.status !== 'succeeded') throw new Error('another result than was saved')
    expect((outcome.output.text as string).length).toBe(50_000)
  }
})
