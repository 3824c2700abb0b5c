/** What the contracts say of themselves to those who call them, as the compiler reads it. */
import { readdir, readFile } from 'node:fs/promises'
import { beforeAll, expect, test } from 'vitest'
import { buildContracts } from '../../scripts/build.ts'
import { CONTRACTS } from '../../scripts/contracts.ts'
import { inRoot } from '../../scripts/paths.ts'

type Parameter = { name: string; type: string; components?: Parameter[] }
type Item = { type: string; name: string; inputs: Parameter[]; outputs?: Parameter[] }
type Doc = { params?: Record<string, string>; returns?: Record<string, string> }
type Artifact = {
  abi: Item[]
  metadata: {
    output: {
      devdoc: { methods?: Record<string, Doc> }
      userdoc: Record<string, unknown> & { methods?: Record<string, { notice?: string }> }
    }
  }
}

beforeAll(async () => {
  await buildContracts()
}, 300_000)

const typeOf = ({ type, components }: Parameter): string =>
  components ? `(${components.map(typeOf).join(',')})${type.slice('tuple'.length)}` : type
const signatureOf = ({ name, inputs }: Item) => `${name}(${inputs.map(typeOf).join(',')})`

/** The functions that a source writes out itself, by name and parameters; others it has from a library. */
function writtenIn(source: string): Set<string> {
  const found = source.matchAll(/\bfunction (\w+)\(([^)]*)\)/g)
  return new Set([...found].map(([, name, list]) => `${name}(${namesIn(list!)})`))
}
const namesIn = (list: string) =>
  list.trim() === '' ? '' : list.split(',').map((part) => part.trim().split(/\s+/).at(-1))

test.each(CONTRACTS)('%s tells of each function what it does, takes and returns', async (name) => {
  const { abi, metadata }: Artifact = JSON.parse(
    await readFile(inRoot(`contracts/out/${name}.sol/${name}.json`), 'utf8'),
  )
  const written = writtenIn(await readFile(inRoot(`contracts/src/${name}.sol`), 'utf8'))
  const { devdoc, userdoc } = metadata.output
  const missing: string[] = []
  const own = abi.filter(
    ({ type, name, inputs }) => type === 'function' && written.has(`${name}(${inputs.map((one) => one.name)})`),
  )
  expect(own).not.toEqual([])
  for (const item of own) {
    const signature = signatureOf(item)
    const { params = {}, returns = {} } = devdoc.methods?.[signature] ?? {}
    if (!userdoc.methods?.[signature]?.notice) missing.push(`${signature} @notice`)
    for (const one of item.inputs) if (!params[one.name]) missing.push(`${signature} @param ${one.name}`)
    for (const [at, one] of item.outputs!.entries()) {
      if (!returns[one.name || `_${at}`]) missing.push(`${signature} @return ${one.name}`)
    }
  }
  expect(missing).toEqual([])
})

test('beside each test there is its tree, and no tree without a test', async () => {
  const all = await readdir(inRoot('contracts/test'), { recursive: true })
  const tests = all.filter((file) => file.endsWith('.t.sol'))
  expect(tests.length).toBeGreaterThan(8)
  const trees = tests.map((file) => file.replace(/\.t\.sol$/, '.tree'))
  expect(all.filter((file) => file.endsWith('.tree')).sort()).toEqual(trees.sort())
})
