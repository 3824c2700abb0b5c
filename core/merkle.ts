/**
 * Merkle trees in the shape of RFC 9162 (section 2.1): a tree of n leaves is split at the largest power of two below n. The shape is
 * apart from the hash, so that the same proofs serve the RFC's SHA-256, by which the tests hold them to published vectors, and the
 * hash of the ReceiptLog contract. Hashes are strings; inner nodes are made by `node`.
 */
export type Node = (left: string, right: string) => string

/** @param leaves hashes of leaves, at least one */
export function rootOf(leaves: readonly string[], node: Node): string {
  if (leaves.length === 1) return leaves[0]!
  const at = split(leaves.length)
  return node(rootOf(leaves.slice(0, at), node), rootOf(leaves.slice(at), node))
}

/** The largest power of two below n, which is at least 2. */
const split = (n: number): number => 2 ** (31 - Math.clz32(n - 1))

/** The siblings of a leaf, from the leaf up. */
export function inclusionProof(leaves: readonly string[], index: number, node: Node): string[] {
  if (leaves.length === 1) return []
  const at = split(leaves.length)
  const [left, right] = [leaves.slice(0, at), leaves.slice(at)]
  return index < at
    ? [...inclusionProof(left, index, node), rootOf(right, node)]
    : [...inclusionProof(right, index - at, node), rootOf(left, node)]
}

/** The root that a proof leads to from a leaf; null when the proof has not the length that it must have. */
export function rootByInclusion(
  leaf: string,
  { index, size, proof }: { index: number; size: number; proof: readonly string[] },
  node: Node,
): string | null {
  if (index < 0 || index >= size) return null
  if (size === 1) return proof.length === 0 ? leaf : null
  const sibling = proof.at(-1)
  if (sibling === undefined) return null
  const at = split(size)
  const rest = proof.slice(0, -1)
  const inLeft = index < at
  const below = inLeft ? { index, size: at, proof: rest } : { index: index - at, size: size - at, proof: rest }
  const root = rootByInclusion(leaf, below, node)
  if (root === null) return null
  return inLeft ? node(root, sibling) : node(sibling, root)
}

/** What shows that the tree of the first `size` leaves, between one and all of them, grew into this one. */
export function consistencyProof(leaves: readonly string[], size: number, node: Node): string[] {
  return subproof(leaves, size, true, node)
}

function subproof(leaves: readonly string[], size: number, isKnown: boolean, node: Node): string[] {
  if (size === leaves.length) return isKnown ? [] : [rootOf(leaves, node)]
  const at = split(leaves.length)
  const [left, right] = [leaves.slice(0, at), leaves.slice(at)]
  return size <= at
    ? [...subproof(left, size, isKnown, node), rootOf(right, node)]
    : [...subproof(right, size - at, false, node), rootOf(left, node)]
}

type Head = { size: number; root: string }

/** True when the proof shows that the tree `from` grew into the tree `to`. */
export function isConsistent(from: Head, to: Head, proof: readonly string[], node: Node): boolean {
  if (from.size < 1 || from.size > to.size) return false
  const roots = grown(from, to.size, proof, true, node)
  return roots !== null && roots[0] === from.root && roots[1] === to.root
}

/** The roots of the old and of the new tree by the proof; null when it has not the length that it must have. */
function grown(
  from: Head,
  size: number,
  proof: readonly string[],
  isKnown: boolean,
  node: Node,
): [before: string, after: string] | null {
  if (from.size === size) {
    if (isKnown) return proof.length === 0 ? [from.root, from.root] : null
    return proof.length === 1 ? [proof[0]!, proof[0]!] : null
  }
  const sibling = proof.at(-1)
  if (sibling === undefined) return null
  const at = split(size)
  const rest = proof.slice(0, -1)
  if (from.size <= at) {
    const roots = grown(from, at, rest, isKnown, node)
    return roots && [roots[0], node(roots[1], sibling)]
  }
  const roots = grown({ ...from, size: from.size - at }, size - at, rest, false, node)
  return roots && [node(sibling, roots[0]), node(sibling, roots[1])]
}

/** A tree that only grows, as the roots of its full subtrees: what is left of any number of leaves is at most 32 hashes. */
export type Growing = { size: number; peaks: string[] }

export const emptyGrowing = (): Growing => ({ size: 0, peaks: [] })

export function grow(tree: Growing, leaf: string, node: Node): void {
  let hash = leaf
  for (let rest = tree.size; rest % 2 === 1; rest = (rest - 1) / 2) hash = node(tree.peaks.pop()!, hash)
  tree.peaks.push(hash)
  tree.size++
}

/** Of a tree with leaves. */
export const rootOfGrowing = ({ peaks }: Growing, node: Node): string =>
  peaks.reduceRight((right, left) => node(left, right))

/** A tree that only grows, with what proves its first leaf: the roots beside the way up from it, and the part that is not full yet. */
export type Followed = { tree: Growing; beside: string[]; part: Growing }

export function followed(first: string, node: Node): Followed {
  const tree = emptyGrowing()
  grow(tree, first, node)
  return { tree, beside: [], part: emptyGrowing() }
}

export function follow(of: Followed, leaf: string, node: Node): void {
  grow(of.tree, leaf, node)
  grow(of.part, leaf, node)
  if (of.part.size < of.tree.size - of.part.size) return
  of.beside.push(rootOfGrowing(of.part, node))
  of.part = emptyGrowing()
}

/** The siblings of the first leaf, from the leaf up, as `inclusionProof` gives them. */
export const firstProof = ({ beside, part }: Followed, node: Node): string[] =>
  part.size === 0 ? beside : [...beside, rootOfGrowing(part, node)]
