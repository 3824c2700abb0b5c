/** A wallet in a page, announced as EIP-6963 says: a key that signs what it is asked, for the chain that it is on. */
import type { Page } from 'playwright-core'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'

export type TestWallet = {
  name: string
  /** Whether its owner refuses to sign. */
  refuse(refused: boolean): void
  /** The chain it is on, hex. */
  chainId(): string
}

type Call = { method: string; params?: unknown[] }
type Answer = { result: unknown } | { code: number; message: string }

export async function injectWallet(page: Page): Promise<TestWallet> {
  const name = 'Test wallet'
  const account = privateKeyToAccount(generatePrivateKey())
  let chainId = '0x1'
  let refused = false

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
      default:
        return { code: 4200, message: `no ${method}` }
    }
  }

  await page.exposeFunction('askTestWallet', answer)
  await page.addInitScript((name) => {
    const ask = (globalThis as unknown as { askTestWallet: (call: unknown) => Promise<Answer> }).askTestWallet
    const provider = {
      async request(call: Call) {
        const answer = await ask(call)
        if ('result' in answer) return answer.result
        throw Object.assign(new Error(answer.message), { code: answer.code })
      },
    }
    const info = { uuid: '350670db-19fa-4704-a166-e52e178b59d2', name, icon: '', rdns: 'test.wallet' }
    const announce = () => dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail: { info, provider } }))
    addEventListener('eip6963:requestProvider', announce)
    announce()
  }, name)
  return {
    name,
    refuse(value) {
      refused = value
    },
    chainId: () => chainId,
  }
}
