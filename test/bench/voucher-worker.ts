/** One lane's vouchers inside the runtime: /sign does what a requester does before each task, /verify what a provider does. */
import { recoverTypedDataAddress } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { acceptVoucher, type Lane, type Settlement, voucherTypedData } from '#core/voucher.ts'

const SETTLEMENT: Settlement = { chainId: 8453, address: `0x${'5e'.repeat(20)}` }
const signer = privateKeyToAccount(`0x${'11'.repeat(32)}`)

const messageOf = (ceiling: bigint) =>
  voucherTypedData(SETTLEMENT, { account: `0x${'ac'.repeat(32)}`, receiver: `0x${'ee'.repeat(20)}`, ceiling })

/** Ceilings are 1, 2, 3, ...; their signatures stand in this order. */
export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url)
    if (pathname === '/sign') return Response.json(await sign(Number(searchParams.get('count'))))
    return Response.json(await verify(await request.json()))
  },
}

async function sign(count: number): Promise<string[]> {
  const signatures: string[] = []
  for (let i = 1; i <= count; i++) signatures.push(await signer.signTypedData(messageOf(BigInt(i))))
  return signatures
}

/** @returns how many were good: the signer's own, each above the one before */
async function verify(signatures: `0x${string}`[]): Promise<number> {
  let lane: Lane = { charged: 0n, ceiling: 0n, paid: 0n, locked: 0n }
  for (const [i, signature] of signatures.entries()) {
    const ceiling = BigInt(i + 1)
    if ((await recoverTypedDataAddress({ ...messageOf(ceiling), signature })) !== signer.address) break
    lane = acceptVoucher(lane, ceiling)
  }
  return Number(lane.ceiling)
}
