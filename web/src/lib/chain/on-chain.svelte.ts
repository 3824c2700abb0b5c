/** A wallet of the browser that was opened on the chain of this network: it reads the chain and signs what its owner confirms. */
import type { Wallet } from '#client/chain/chain.ts'
import type { Deployment } from '#core/deployment.ts'
import { type Wallet as BrowserWallet, walletOn } from '../site/wallets.svelte.ts'

export function createOnChain() {
  let wallet = $state.raw<Wallet | null>(null)
  let notice = $state('')

  return {
    /** Null until one is opened; kept from page to page, and forgotten by the next load. */
    get wallet() {
      return wallet
    },
    /** Why it is not open any more. */
    get notice() {
      return notice
    },
    /** @throws WalletFault, DaicnError */
    async open(chosen: BrowserWallet, deployment: Deployment): Promise<void> {
      const opened = await walletOn(chosen, deployment)
      wallet = opened
      notice = ''
      const close = (why: string) => () => {
        if (wallet !== opened) return
        wallet = null
        notice = why
      }
      const { name } = chosen.info
      chosen.provider.on?.('chainChanged', close(`${name} was switched to another network. Open it again to go on.`))
      chosen.provider.on?.('accountsChanged', close(`${name} was switched to another account. Open it again to go on.`))
    },
  }
}

export type OnChain = ReturnType<typeof createOnChain>
