/** A wallet in a page, announced as EIP-6963 says: a key that signs what it is asked, for the chain that it is on. */
import type { Page } from 'playwright-core'
import { createWalletClient, type Hex, http } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import type { Address } from '../../core/protocol/values.ts'

export type TestWallet = {
  name: string
  address: Address
  /** Whether its owner refuses to sign. */
  refuse(refused: boolean): void
  /** The chain it is on, hex. */
  chainId(): string
  /** Its owner switches it to another chain. */
  switchTo(chainId: string): Promise<void>
}

type Call = { method: string; params?: unknown[] }
type Answer = { result: unknown } | { code: number; message: string }

/** @param rpc the node of the chain that it reads and sends to */
export async function injectWallet(page: Page, rpc: string): Promise<TestWallet> {
  const name = 'Test wallet'
  const account = privateKeyToAccount(generatePrivateKey())
  let chainId = '0x1'
  let refused = false
  const node = createWalletClient({ account, transport: http(rpc, { retryCount: 0 }) })

  async function answer({ method, params = [] }: Call): Promise<Answer> {
    switch (method) {
      case 'eth_requestAccounts':
        return { result: [account.address] }
      case 'eth_chainId':
        return { result: chainId }
      case 'wallet_switchEthereumChain':
        chainId = (params[0] as { chainId: string }).chainId
        return { result: null }
      case 'eth_signTypedData_v4': {
        if (refused) return { code: 4001, message: 'User rejected the request.' }
        const data = JSON.parse(params[1] as string)
        if (Number(data.domain.chainId) !== Number(chainId)) return { code: -32_603, message: 'another chain' }
        delete data.types.EIP712Domain
        return { result: await account.signTypedData(data) }
      }
      case 'eth_sendTransaction': {
        if (refused) return { code: 4001, message: 'User rejected the request.' }
        const [{ to, data }] = params as [{ to: Address; data: Hex }]
        return { result: await node.sendTransaction({ to, data, chain: null }) }
      }
      default:
        return { result: await node.request({ method, params } as never) }
    }
  }
  const reply = (call: Call) => answer(call).catch(({ code = -32_603, message }) => ({ code, message }))

  await page.exposeFunction('askTestWallet', reply)
  await page.addInitScript((name) => {
    const ask = (globalThis as unknown as { askTestWallet: (call: unknown) => Promise<Answer> }).askTestWallet
    const listeners: (() => void)[] = []
    const provider = {
      on(event: string, listener: () => void) {
        if (event === 'chainChanged') listeners.push(listener)
      },
      async request(call: Call) {
        const answer = await ask(call)
        if ('result' in answer) return answer.result
        throw Object.assign(new Error(answer.message), { code: answer.code })
      },
    }
    const info = { uuid: '350670db-19fa-4704-a166-e52e178b59d2', name, icon: '', rdns: 'test.wallet' }
    const announce = () => dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail: { info, provider } }))
    addEventListener('eip6963:requestProvider', announce)
    addEventListener('test-wallet:chain', () => {
      for (const listener of listeners) listener()
    })
    announce()
  }, name)
  return {
    name,
    address: account.address.toLowerCase() as Address,
    refuse(value) {
      refused = value
    },
    chainId: () => chainId,
    async switchTo(next) {
      chainId = next
      await page.evaluate(() => dispatchEvent(new Event('test-wallet:chain')))
    },
  }
}
