import fc from 'fast-check'
import { expect, test } from 'vitest'
import { estimatedSize, fastLzLength, l1DataFee } from '#core/l1-fee.ts'

/** Hex in which `<n>` stands for n zeros. */
const bytes = (hex: string) =>
  Uint8Array.from(
    Buffer.from(
      hex.replace(/<(\d+)>/g, (_, count) => '0'.repeat(Number(count))),
      'hex',
    ),
  )

// The examples that implementations of Fjord test themselves by, as in revm (crates/op-revm/src/l1block.rs).
const TRANSFER = bytes(
  '02f901550a758302df1483be21b88304743f94f80e51afb613d764fa61751affd3313c190a86bb870151bd62fd12adb8e41e' +
    'f24f3f<62>6e<24>af88d065e77c8cc2239327c5edb3a432268e5831<59>3c1e5<126>a<63>148c89ed219d02f1a5be012c6' +
    '89b4f5b731827bebe<24>c001a033fd89cb37c31b2cba46b6466e040c61fc9b2a3675a7f5f493ebd5ad77c497f8a07cdf656' +
    '80e238392693019b4092f610222e71b7cec06449cb922b93b6a12744e',
)

// The second transaction of block 124665056 of OP mainnet, with the prices of that block and what it was charged:
// optimistic.etherscan.io/tx/0x1059e8004daff32caa1f1b1ef97fe3a07a8cf40508f5b835b66d9420d87c4a4a
const MAINNET = bytes(
  '02f904940a8303fba78401d6d2798401db2b6d830493e0943e6f4f7866654c18f536170780344aa8772950b680b904246a76' +
    '1202<25>87000a300de7200382b55d40045000000e5d60e<125>14<64>1<381>3a<62>22482ad56cb<62>2<64>2<62>4<62>' +
    '12<25>dc6ff44d5d932cbd77b52e5612ba0529dc6226f1<126>6<63>44095ea7b3<24>21c4928109acb0659a88ae5329b537' +
    '4a3024694c<47>49b9ca9a69434<84>21c4928109acb0659a88ae5329b5374a3024694c<126>6<63>24b6b55f25<47>49b9c' +
    'a9a69434<178>415ec214a3950bea839a7e6fbb0ba1540ac2076acd50820e2d5ef83d0902cdffb24a47aff7de5190290769c' +
    '4f0a9c6fabf63012986a0d590b1b571547a8c7050ea1b<62>c080a06db770e6e25a617fe9652f0958bd9bd6e49281a530369' +
    '06386ed39ec48eadf63a07f47cf51a4a40b4494cf26efc686709a9b03939e20ee27e59682f5faa536667e',
)
const MAINNET_PRICES = {
  l1BaseFee: 1_055_991_687n,
  blobBaseFee: 1n,
  baseFeeScalar: 5227n,
  blobBaseFeeScalar: 1_014_213n,
}
const ROUND = { l1BaseFee: 1000n, blobBaseFee: 1000n, baseFeeScalar: 1000n, blobBaseFeeScalar: 1000n }

test('a transaction of OP mainnet costs to the wei what it cost there', () => {
  expect(l1DataFee(MAINNET, MAINNET_PRICES)).toBe(0x5bf1ab43dn)
  expect((estimatedSize(MAINNET) * 16n) / 1_000_000n).toBe(4471n)
})

test('the examples of other implementations come out the same', () => {
  expect(fastLzLength(TRANSFER)).toBe(202)
  expect(estimatedSize(TRANSFER)).toBe(126_387_400n)
  expect(l1DataFee(TRANSFER, ROUND)).toBe(2148n)
  expect(fastLzLength(bytes('facade'))).toBe(4)
  expect(l1DataFee(bytes('facade'), ROUND)).toBe(1700n)
})

test('what repeats is short, and nothing grows by more than one byte in 32', () => {
  expect(fastLzLength(new Uint8Array(10_000))).toBeLessThan(200)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), (data) => {
      const length = fastLzLength(data)
      expect(length).toBeLessThanOrEqual(data.length + Math.ceil(data.length / 32) + 1)
      expect(length > 0).toBe(data.length > 0)
    }),
  )
})
