import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, mkdtemp, readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { openSpool } from '#agent/spool.ts'
import type { Result } from '#core/protocol/lease.ts'

const EDGE = 'https://edge.example'
const directory = () => mkdtemp(join(tmpdir(), 'spool-'))
const returned = (lease: string): Result => ({ lease, outcome: { status: 'returned' } })

test('a result is there until it is removed, for its edge only', async () => {
  const path = await directory()
  const spool = await openSpool(path, EDGE)
  await spool.save(returned('a.1'))
  await spool.save(returned('../b/..%.1'))
  const leases = async (edge: string) => (await openSpool(path, edge)).load().map(({ lease }) => lease)
  expect(await leases(EDGE)).toEqual(['a.1', '../b/..%.1'])
  expect(await leases('https://other.example')).toEqual([])
  await spool.remove('a.1')
  await spool.remove('a.1')
  expect(await leases(EDGE)).toEqual(['../b/..%.1'])
  await spool.remove('../b/..%.1')
  const [file] = await readdir(path)
  expect(await readFile(join(path, file!), 'utf8')).toBe('')
  await spool.close()
})

test('results that end together are all on disk when each is said to be, and what is removed stays away', async () => {
  const path = await directory()
  const spool = await openSpool(path, EDGE)
  const ids = Array.from({ length: 50 }, (_, i) => `t${i}.1`)
  await Promise.all(ids.map((id) => spool.save(returned(id))))
  await Promise.all(ids.slice(10).map((id) => spool.remove(id)))
  expect((await openSpool(path, EDGE)).load().map(({ lease }) => lease)).toEqual(ids.slice(0, 10))
  await spool.close()
})

test('a file that holds much that is not needed any more is written anew', async () => {
  const path = await directory()
  const spool = await openSpool(path, EDGE)
  const large = (lease: string): Result => ({
    lease,
    outcome: { status: 'failed', error: { code: 'x', message: 'x'.repeat(1_000_000) } },
  })
  await spool.save(returned('a.1'))
  for (let i = 0; i < 12; i++) {
    await spool.save(large(`t${i}.1`))
    await spool.remove(`t${i}.1`)
  }
  const [file] = await readdir(path)
  expect((await readFile(join(path, file!), 'utf8')).length).toBeLessThan(7_000_000)
  expect((await openSpool(path, EDGE)).load()).toEqual([returned('a.1')])
  await spool.close()
})

test('half a line, as a kill may leave it, is passed over and does not spoil what is saved after it', async () => {
  const path = await directory()
  const first = await openSpool(path, EDGE)
  await first.save(returned('a.1'))
  await first.close()
  const [file] = await readdir(path)
  await appendFile(join(path, file!), '{"lease":"b.1","result":{"lea')
  const second = await openSpool(path, EDGE)
  expect(second.load()).toEqual([returned('a.1')])
  await second.save(returned('c.1'))
  expect((await openSpool(path, EDGE)).load()).toEqual([returned('a.1'), returned('c.1')])
  await second.close()
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
  const results = (await openSpool(path, EDGE)).load()
  expect(results.length).toBeGreaterThanOrEqual(saved)
  for (const { outcome } of results) {
    if (outcome.status !== 'succeeded') throw new Error('another result than was saved')
    expect((outcome.output.text as string).length).toBe(50_000)
  }
})
