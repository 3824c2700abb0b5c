import { expect, test } from 'vitest'
import { blobsIn } from '#core/blob.ts'
import { DomainError } from '#core/errors.ts'
import { maxUnits, meter } from '#core/pricing.ts'
import { WASI_LIMITS } from '#core/program-limits.ts'
import { SubmitTask } from '#core/protocol/task.ts'
import { LIMITS } from '#core/protocol/values.ts'
import { INPUTS } from '#core/protocol/work.ts'
import { toRequest } from '#core/request.ts'
import { sizeOf } from '#core/snapshot.ts'

const SHA = 'ab'.repeat(32)
const module = { sha256: SHA }

test('a program is named by its hash, and files by names that are no paths', () => {
  const accepts = (input: unknown) => INPUTS['wasi.run'].safeParse(input).success
  expect(accepts({ module })).toBe(true)
  expect(
    accepts({ module, args: ['-x'], stdin: 'aGk=', files: { 'a.txt': { sha256: SHA } }, outputs: ['b.wav'] }),
  ).toBe(true)
  expect(accepts({ module: 'aGk=' })).toBe(false)
  for (const name of ['../a', 'a/b', '/a', '.a', '', 'a\0', 'a\\b'])
    expect(accepts(JSON.parse(`{"module":{"sha256":"${SHA}"},"files":{${JSON.stringify(name)}:"aGk="}}`)), name).toBe(
      false,
    )
  expect(accepts({ module, args: ['a\0b'] })).toBe(false)
  expect(accepts({ module, seconds: 301 })).toBe(false)
})

test('all that a program may leave fits an output', () => {
  const stdout = Buffer.alloc(WASI_LIMITS.outputBytes).toString('base64')
  const names = Array.from({ length: 16 }, (_, i) => [`${i}`.padEnd(100, 'x'), ''])
  const output = { exitCode: 0, stdout, stderr: '', files: Object.fromEntries(names) }
  expect(sizeOf(output)).toBeLessThan(LIMITS.outputBytes)
  expect(sizeOf(output)).toBeGreaterThan(0.95 * LIMITS.outputBytes)
})

test('it is paid by the seconds that it may run, whatever is reported', () => {
  expect(maxUnits('wasi.run', { module })).toBe(10)
  expect(maxUnits('wasi.run', { module, seconds: 3 })).toBe(3)
  expect(meter('wasi.run', { inputTokens: 0, outputTokens: 99 }, 3)).toBe(3)
})

test('a program of an image has no module, and its image is named', () => {
  const task = { kind: 'container.run', model: 'python', input: { args: ['-c', 'print(1)'] } }
  expect(toRequest(SubmitTask.parse(task))).toMatchObject({ model: 'python', maxUnits: 10 })
  for (const wrong of [{ model: undefined }, { input: { module } }, { input: { seconds: 3601 } }])
    expect(() => toRequest(SubmitTask.parse({ ...task, ...wrong }))).toThrow(DomainError)
})

test('all that it refers to is held, each by its place', () => {
  const input = { module, stdin: { sha256: 'cd'.repeat(32) }, files: { 'a.txt': 'aGk=', 'b.txt': module } }
  expect(blobsIn('wasi.run', input)).toEqual([
    { sha256: SHA, pointer: '/module' },
    { sha256: 'cd'.repeat(32), pointer: '/stdin' },
    { sha256: SHA, pointer: '/files/b.txt' },
  ])
})
