/**
 * Joins what is written of a chat to what was told of it before, text by text: nothing is told twice, nothing left out, and what
 * contradicts is noticed. What one writer repeats of another need not come in the same pieces, nor in the same order of texts.
 */
import type { ChatPiece, ChatTexts } from './protocol/chat-piece.ts'

export type ChatJoint = {
  /** @returns what of a piece goes beyond what is known, or null where it contradicts that */
  push: (piece: ChatPiece) => ChatPiece | null
  /** All that is known, with what went beyond it. */
  texts: () => ChatTexts
  /** Whether all that is known was written again. */
  isWhole: () => boolean
}

/** Whoever writes a call again gives it a name of its own choice: the first one stands. */
const isName = (path: string): boolean => path.endsWith('.id')
/** Thoughts are seldom the same twice and need not be: where they differ from what was told, nothing more is told of them. */
const isThought = (path: string): boolean => path.endsWith('.reasoning_content')

/**
 * @param known what was told
 * @param begun how much of that the writer need not write again
 */
export function createJoint(known: ChatTexts, begun: ChatTexts = {}): ChatJoint {
  const written = new Map(Object.entries(begun))
  const strayed = new Set<string>()
  const knownAt = (path: string) => known[path] ?? ''

  /** @returns null where the text differs */
  function fresh(path: string, text: string): string | null {
    const before = written.get(path) ?? ''
    if (isName(path) && knownAt(path) !== '') {
      written.set(path, knownAt(path))
      return ''
    }
    if (strayed.has(path)) return ''
    const again = knownAt(path).slice(before.length, before.length + text.length)
    if (text.startsWith(again)) {
      written.set(path, before + text)
      return text.slice(again.length)
    }
    if (!isThought(path)) return null
    strayed.add(path)
    return ''
  }

  return {
    push({ logprobs, ...piece }) {
      let length = 0
      let told = 0
      const rest = mapTexts(piece, (path, text) => {
        const beyond = fresh(path, text)
        length += text.length
        told += beyond?.length ?? 0
        return beyond
      })
      if (rest === null) return null
      // They are of tokens, of which none is half known.
      if (logprobs && told > 0 && told < length) return null
      return logprobs && told === length ? { ...rest, logprobs } : rest
    },
    texts: () => ({
      ...known,
      ...Object.fromEntries([...written].filter(([path, text]) => text.length >= knownAt(path).length)),
    }),
    isWhole: () =>
      Object.entries(known).every(
        ([path, text]) => isName(path) || isThought(path) || (written.get(path) ?? '').length >= text.length,
      ),
  }
}

/** A piece with each of its texts as `change` makes it; without those that are left empty. Null as soon as one is null. */
function mapTexts(
  { index, tool_calls, ...texts }: Omit<ChatPiece, 'logprobs'>,
  change: (path: string, text: string) => string | null,
): ChatPiece | null {
  let failed = false
  const kept = <T extends Record<string, string>>(at: string, of: T): Partial<T> =>
    Object.fromEntries(
      Object.entries(of).flatMap(([name, text]) => {
        const changed = change(`${at}.${name}`, text)
        failed ||= changed === null
        return changed ? [[name, changed]] : []
      }),
    ) as Partial<T>
  const piece: ChatPiece = { index, ...kept(String(index), texts) }
  const calls = (tool_calls ?? []).flatMap(({ index: call, type, function: called = {}, id }) => {
    const at = `${index}.tool_calls.${call}`
    const name = kept(at, { ...(id !== undefined && { id }) })
    const rest = kept(at, called)
    if (Object.keys(name).length + Object.keys(rest).length === 0) return []
    return [
      {
        index: call,
        ...name,
        ...(name.id !== undefined && type !== undefined && { type }),
        ...(Object.keys(rest).length > 0 && { function: rest }),
      },
    ]
  })
  if (calls.length > 0) piece.tool_calls = calls
  return failed ? null : piece
}

/** Whether there is anything in a piece. */
export const isEmpty = (piece: ChatPiece): boolean => Object.keys(piece).length === 1

/** The texts of a piece, by where they are. */
export function textsOf(piece: ChatPiece): ChatTexts {
  const texts: ChatTexts = {}
  mapTexts(piece, (path, text) => {
    texts[path] = text
    return null
  })
  return texts
}

/** Texts, gone on with. */
export function addTexts(texts: ChatTexts, more: ChatTexts): ChatTexts {
  const joined = { ...texts }
  for (const [path, text] of Object.entries(more)) joined[path] = (joined[path] ?? '') + text
  return joined
}

export const lengthOf = (texts: ChatTexts): number => Object.values(texts).reduce((sum, { length }) => sum + length, 0)
