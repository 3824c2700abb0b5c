/** Merkle trees held to the published vectors of Certificate Transparency, whose trees are RFC 9162's. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  consistencyProof,
  emptyGrowing,
  firstProof,
  follow,
  followed,
  grow,
  inclusionProof,
  isConsistent,
  rootByInclusion,
  rootOf,
  rootOfGrowing,
} from '#core/merkle.ts'
import { holds } from '../support/property.ts'

const sha256 = (hex: string) => createHash('sha256').update(Buffer.from(hex, 'hex')).digest('hex')
const node = (left: string, right: string) => sha256(`01${left}${right}`)
/** The inputs of the vectors. */
const INPUTS = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
const LEAVES = INPUTS.map((input) => sha256(`00${input}`))

/** Roots of the first one to eight of the inputs. */
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]

test('roots are those of the published vectors', () => {
  const tree = emptyGrowing()
  for (const [i, leaf] of LEAVES.entries()) {
    grow(tree, leaf, node)
    expect([rootOf(LEAVES.slice(0, i + 1), node), rootOfGrowing(tree, node)]).toEqual([ROOTS[i], ROOTS[i]])
  }
})

test('proofs are those of the published vectors', () => {
  expect(inclusionProof(LEAVES, 5, node)).toEqual([
    'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  ])
  expect(consistencyProof(LEAVES, 6, node)).toEqual([
    '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
    'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  ])
})

const many = Array.from({ length: 70 }, (_, i) => sha256(`00${i.toString(16).padStart(4, '0')}`))
/** Sorted pairs, as the contract hashes them. */
const sorted = (x: string, y: string) => (x < y ? node(x, y) : node(y, x))

test.each([
  ['in order', node],
  ['in sorted pairs', sorted],
])('with nodes hashed %s, every leaf and every earlier tree is proved, and nothing else', (_, hash) => {
  holds(
    fc.property(fc.integer({ min: 1, max: 70 }), fc.nat(), fc.nat(), fc.nat(), (size, i, j, k) => {
      const leaves = many.slice(0, size)
      const root = rootOf(leaves, hash)
      const index = i % size
      const proof = inclusionProof(leaves, index, hash)
      expect(rootByInclusion(leaves[index]!, { index, size, proof }, hash)).toBe(root)
      expect(rootByInclusion(sha256('ff'), { index, size, proof }, hash)).not.toBe(root)
      expect(rootByInclusion(leaves[index]!, { index, size, proof: [...proof, root] }, hash)).toBeNull()
      expect(rootByInclusion(leaves[index]!, { index: size, size, proof }, hash)).toBeNull()

      const from = { size: 1 + (j % size), root: rootOf(leaves.slice(0, 1 + (j % size)), hash) }
      const to = { size, root }
      const grown = consistencyProof(leaves, from.size, hash)
      expect(isConsistent(from, to, grown, hash)).toBe(true)
      expect(isConsistent({ ...from, root: sha256('ff') }, to, grown, hash)).toBe(false)
      expect(isConsistent(from, { ...to, root: sha256('ff') }, grown, hash)).toBe(false)
      expect(isConsistent(from, to, [...grown, root], hash)).toBe(false)
      if (grown.length === 0) return
      const forged = grown.with(k % grown.length, sha256('ff'))
      expect(isConsistent(from, to, forged, hash)).toBe(false)
      expect(isConsistent(from, to, grown.slice(1), hash)).toBe(false)
    }),
    300,
  )
})

test('a tree that is followed keeps the proof of its first leaf, however it grows', () => {
  const leaves = Array.from({ length: 40 }, (_, n) => sha256(`00${n.toString(16).padStart(2, '0')}`))
  const tree = followed(leaves[0]!, node)
  for (let size = 1; size <= leaves.length; size++) {
    if (size > 1) follow(tree, leaves[size - 1]!, node)
    const known = leaves.slice(0, size)
    expect(firstProof(tree, node)).toEqual(inclusionProof(known, 0, node))
    expect(rootOfGrowing(tree.tree, node)).toBe(rootOf(known, node))
  }
})
