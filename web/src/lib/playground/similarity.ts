/** Cosine similarity of each pair of vectors, -1 to 1; a vector of nothing but zeros is like no other. Pure. */
export function similarities(vectors: readonly (readonly number[])[]): number[][] {
  const lengths = vectors.map((vector) => Math.sqrt(dot(vector, vector)))
  return vectors.map((a, i) =>
    vectors.map((b, j) => {
      const scale = lengths[i]! * lengths[j]!
      return scale === 0 ? 0 : Math.min(1, Math.max(-1, dot(a, b) / scale))
    }),
  )
}

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0)
