/**
 * What a chain of the OP Stack asks for the data that it puts on layer 1, over and above the gas: since Fjord, by how far the
 * signed transaction would compress (https://specs.optimism.io/protocol/fjord/exec-engine.html, "Fees").
 */

/** The predeployed contract that tells the prices. */
export const GAS_PRICE_ORACLE = '0x420000000000000000000000000000000000000F'

const price = <const N extends string>(name: N) =>
  ({ type: 'function', name, inputs: [], outputs: [{ name: '', type: 'uint256' }], stateMutability: 'view' }) as const

/** What is asked of it. */
export const GAS_PRICE_ORACLE_ABI = [
  price('l1BaseFee'),
  price('blobBaseFee'),
  price('baseFeeScalar'),
  price('blobBaseFeeScalar'),
] as const

/** Fees in wei; scalars are in millionths. */
export type L1Prices = Record<(typeof GAS_PRICE_ORACLE_ABI)[number]['name'], bigint>

/** @param read asks the oracle for one of them */
export async function readL1Prices(read: (name: keyof L1Prices) => Promise<bigint>): Promise<L1Prices> {
  const values = await Promise.all(GAS_PRICE_ORACLE_ABI.map(async ({ name }) => [name, await read(name)]))
  return Object.fromEntries(values) as L1Prices
}

/** Of the linear estimate of a compressed size, in millionths of a byte. */
const INTERCEPT = -42_585_600n
const FASTLZ_COEFFICIENT = 836_500n
const LEAST_SIZE = 100_000_000n

/** @param transaction signed, as it is sent @returns wei */
export function l1DataFee(transaction: Uint8Array, prices: L1Prices): bigint {
  const { l1BaseFee, blobBaseFee, baseFeeScalar, blobBaseFeeScalar } = prices
  const scaled = baseFeeScalar * l1BaseFee * 16n + blobBaseFeeScalar * blobBaseFee
  return (estimatedSize(transaction) * scaled) / 10n ** 12n
}

/** Of a transaction after compression with others, in millionths of a byte. */
export function estimatedSize(transaction: Uint8Array): bigint {
  const size = INTERCEPT + FASTLZ_COEFFICIENT * BigInt(fastLzLength(transaction))
  return size > LEAST_SIZE ? size : LEAST_SIZE
}

/** How far back a match may begin. */
const WINDOW = 8191
/** A match reaches at most so far from the end. */
const TAIL = 13
const LONGEST_LITERALS = 32
const LONGEST_MATCH = 262

/**
 * The length of bytes after FastLZ, level 1. The chain's nodes compute the same, so what finds a match, and where it ends, must
 * be as theirs: positions by a hash of three bytes, of which the last one seen counts.
 */
export function fastLzLength(bytes: Uint8Array): number {
  const seen = new Uint32Array(8192)
  const limit = Math.max(bytes.length - TAIL, 0)
  const three = (at: number) => bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16)
  const slot = (word: number) => (Math.imul(word, 2_654_435_769) >>> 19) & 8191

  /** The next place from `at` on that was seen before, and where; none before the limit gives null. */
  function nextMatch(at: number): { at: number; earlier: number } | null {
    for (let here = at; here < limit; here++) {
      const word = three(here)
      const earlier = seen[slot(word)]!
      seen[slot(word)] = here
      // The last place is looked at and not used.
      if (here + 1 < limit && here - earlier <= WINDOW && word === three(earlier)) return { at: here, earlier }
    }
    return null
  }

  let length = 0
  let written = 0
  for (let at = 2; ; ) {
    const match = nextMatch(at)
    if (!match) return length + literals(bytes.length - written)
    length += literals(match.at - written)
    const run = runOf(bytes, match.earlier + 3, match.at + 3, limit + 9)
    length += Math.floor((run - 1) / LONGEST_MATCH) * 3 + ((run - 1) % LONGEST_MATCH >= 6 ? 3 : 2)
    at = match.at + run
    for (let i = 0; i < 2; i++, at++) seen[slot(three(at))] = at
    written = at
  }
}

/** Bytes that are written as they are: one more for every 32 of them that are begun. */
const literals = (count: number): number => count + Math.ceil(count / LONGEST_LITERALS)

/** How far two places agree, with the first byte that does not; up to `end`. */
function runOf(bytes: Uint8Array, earlier: number, at: number, end: number): number {
  let run = 0
  while (run < end - at) if (bytes[earlier + run] !== bytes[at + run++]) break
  return run
}
