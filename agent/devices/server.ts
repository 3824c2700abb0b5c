/** On which of this machine's devices a model server computes, as far as that can be known for sure. */
import { type Ask, type FoundDevice, PROCESSOR } from './device.ts'
import { findUsed } from './nvidia.ts'
import { processesOn } from './processes.ts'

export type Server = {
  url: string
  /** Bytes of the model on cards, where the server says that: ollama does. */
  cardBytes: number | undefined
  /** Whether the server has no other model loaded, for which it may use other cards. */
  isAlone: boolean
}

/**
 * One that runs elsewhere, or as another user, is not known; nor is which card one computes on that has several models on several.
 * What is only partly on a card counts as the card's.
 */
export async function devicesOf(
  { url, cardBytes, isAlone }: Server,
  devices: FoundDevice[],
  ask: Ask,
): Promise<string[] | undefined> {
  const { hostname, port, protocol } = new URL(url)
  if (!HERE.test(hostname)) return undefined
  const cards = devices.filter(({ kind }) => kind !== 'cpu')
  const [first, ...others] = cards
  if (cardBytes === 0) return [PROCESSOR]
  const isOnCard = cardBytes !== undefined
  if (isOnCard && others.length === 0) return first && [first.id]
  const processes = await processesOn(Number(port || (protocol === 'https:' ? 443 : 80)))
  // A card that no tool of ours knows is no device.
  if (!first) return processes?.cardFiles?.length ? undefined : [PROCESSOR]
  if (!processes) return undefined
  const used = await findUsed(ask, processes.pids)
  if (used.some((id) => !cards.some((card) => card.id === id))) return undefined
  if (used.length > 0) return isAlone || (isOnCard && used.length === 1) ? used : undefined
  const { cardFiles } = processes
  if (cardFiles?.length === 0) return [PROCESSOR]
  // Where the tool does not know the processes of a container by their numbers here.
  const isFirst = others.length === 0 && cardFiles?.some((file) => COMPUTES_BY[first.kind]?.test(file))
  return isAlone && isFirst ? [first.id] : undefined
}

const COMPUTES_BY: Partial<Record<FoundDevice['kind'], RegExp>> = { nvidia: /^\/dev\/nvidia/, amd: /^\/dev\/kfd$/ }

const HERE = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/
