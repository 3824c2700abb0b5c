import { Hono } from 'hono'
import { formatAmount, parseAmount } from '#core/money.ts'
import { VOUCHERS_A_PAGE, VoucherPage, VouchersQuery } from '#core/voucher-page.ts'
import { cellOf } from '../cells.ts'
import { chainOf, type Env, networkOf } from '../env.ts'
import { operation } from '../middleware/operation.ts'

export const vouchers = new Hono<{ Bindings: Env }>().get(
  '/',
  operation({
    summary: 'Read the vouchers that pay this provider',
    details:
      'The latest of each requester whose charges have grown. A voucher is cumulative: the latest of an account replaces the others.',
    access: 'session',
    query: VouchersQuery,
    answers: { 200: VoucherPage },
    errors: ['no_chain'],
  }),
  async (c) => {
    const network = networkOf(c.env)
    const { settlement } = chainOf(network)
    const { address } = c.get('principal')
    const { after } = c.req.valid('query')
    const market = network.market(await cellOf(network, address))
    const { charges, closing } = await market.charges(address, parseAmount(after), VOUCHERS_A_PAGE)
    // What is signed follows from what was charged, so nothing of it is kept: asked again, the edge signs the same.
    const signed = charges.map(async ({ requester, amount, account: own, voucher }) => {
      const charged = formatAmount(amount)
      if (own && voucher) {
        const { ceiling, signature } = voucher
        return { account: own, requester, charged, ceiling: formatAmount(ceiling), selfSigned: true, signature }
      }
      const { account, signVoucher } = network.signerOf(requester)
      const signature = await signVoucher(settlement, address, amount)
      return { account, requester, charged, ceiling: charged, selfSigned: false, signature }
    })
    const last = charges.at(-1)
    return c.json({
      vouchers: await Promise.all(signed),
      next: last ? formatAmount(last.mark) : after,
      more: charges.length === VOUCHERS_A_PAGE,
      closing,
    })
  },
)
