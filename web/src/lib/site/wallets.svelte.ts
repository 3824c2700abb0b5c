/** Wallets that the browser has, found as EIP-6963 says, and signing in by one of them. */
import { signIn } from '#client/account.ts'
import type { Wallet as ChainWallet } from '#client/chain/chain.ts'
import type { Deployment } from '#core/deployment.ts'
import type { Address } from '#core/protocol/values.ts'
import type { Credential } from './credential.ts'

type Provider = {
  request: (call: { method: string; params?: unknown }) => Promise<unknown>
  on?: (event: 'accountsChanged' | 'chainChanged', listener: () => void) => void
}
export type Wallet = { info: { uuid: string; name: string; icon: string; rdns: string }; provider: Provider }

/** Codes of EIP-1193 and of wallets that do not know a chain. */
const REJECTED = 4001
const UNKNOWN_CHAIN = 4902

export function createWallets() {
  let found = $state.raw<Wallet[]>([])
  return {
    get all() {
      return found
    },
    /** Wallets answer at once, and once more when they load later. @returns how to stop */
    start() {
      const announced = ({ detail }: CustomEvent<Wallet>) => {
        if (typeof detail?.info?.uuid !== 'string' || found.some(({ info }) => info.uuid === detail.info.uuid)) return
        found = [...found, detail]
      }
      addEventListener('eip6963:announceProvider', announced as EventListener)
      dispatchEvent(new Event('eip6963:requestProvider'))
      return () => removeEventListener('eip6963:announceProvider', announced as EventListener)
    },
  }
}

/** What went wrong at the wallet, and not at the edge, in words for people. */
export class WalletFault extends Error {}

/** Asks the wallet for an address and for its signature of the sign-in; no transaction is made. @throws WalletFault, DaicnError */
export async function signInBy(wallet: Wallet, edge: string): Promise<Credential> {
  const { name, client, address } = await openWallet(wallet)
  const { token, expiresAt } = await signIn(
    { edge },
    {
      address,
      async signTypedData(data) {
        await toChain(client, data.domain.chainId, name)
        const signature = client.signTypedData({ account: address, ...data })
        return allowed(signature, name, 'The signature was refused. Nothing was done.')
      },
    },
  )
  return { by: 'wallet', token, address: address.toLowerCase() as Address, expiresAt }
}

/** Asks the wallet for an address on a chain: a node and a key at once. @throws WalletFault, DaicnError */
export async function walletOn(wallet: Wallet, deployment: Deployment): Promise<ChainWallet> {
  const { name, client, address } = await openWallet(wallet)
  await toChain(client, deployment.chainId, name)
  const { openChain } = await import('#client/chain/chain.ts')
  const chain = await openChain({ rpc: wallet.provider as never, deployment, account: address })
  return chain as ChainWallet
}

async function openWallet({ info: { name }, provider }: Wallet) {
  const { createWalletClient, custom } = await import('viem')
  const client = createWalletClient({ transport: custom(provider) })
  const [address] = await allowed(client.requestAddresses(), name, `${name} was not allowed to share an address.`)
  if (!address) throw new WalletFault(`${name} has no account.`)
  return { name, client, address }
}

/** @param refused what to say when its owner refuses */
async function allowed<T>(call: Promise<T>, name: string, refused: string): Promise<T> {
  try {
    return await call
  } catch (error) {
    throw new WalletFault(codeOf(error) === REJECTED ? refused : `${name}: ${(error as Error).message}`)
  }
}

type Client = { getChainId: () => Promise<number>; switchChain: (to: { id: number }) => Promise<void> }

/** Wallets sign only for the chain that they are on. */
async function toChain(client: Client, id: number, name: string): Promise<void> {
  if ((await client.getChainId()) === id) return
  try {
    await client.switchChain({ id })
  } catch (error) {
    const unknown = codeOf(error) === UNKNOWN_CHAIN
    throw new WalletFault(
      unknown
        ? `${name} does not know the chain ${id} of this network. Add it there, then try again.`
        : `${name} is on another network. Switch it to chain ${id}, then try again.`,
    )
  }
}

function codeOf(error: unknown): number | undefined {
  const { code, cause } = (error ?? {}) as { code?: number; cause?: unknown }
  return code ?? (cause === undefined ? undefined : codeOf(cause))
}
