/** What a reader of a streamed chat was told, over all attempts: what is new of each output, and what is left at the end. */
import { createJoint, lengthOf } from './chat-joint.ts'
import { freshText } from './continuation.ts'
import type { ChatPiece, ChatTexts } from './protocol/chat-piece.ts'
import type { WatchEvent } from './protocol/task.ts'
import { type ChatChoice, choicesOf, type OutputOf } from './protocol/work.ts'

type Output = Extract<WatchEvent, { type: 'output' }>

export type ChatTold = {
  /** @returns what an output adds, by choice, null when it contradicts what was told or leaves a gap */
  take: (output: Output) => ChatPiece[] | null
  /** @returns what was not told of each choice of the whole output, null when it contradicts what was told */
  rest: (output: OutputOf<'llm.chat'>) => ChatPiece[] | null
  /** Characters, of all texts. */
  length: () => number
}

export function createTold(): ChatTold {
  let text = ''
  /** Beside that text, of the attempts before this one. */
  let earlier: ChatTexts = {}
  let attempt = 0
  let joint = createJoint(earlier)
  const withLogprobs = new Set<number>()

  /** An attempt goes on where the one before ended, or begins anew when what was delivered got lost on the way. */
  function begin(next: number, at: number): boolean {
    earlier = joint.texts()
    attempt = next
    joint = createJoint(earlier, at === 0 ? {} : earlier)
    return at === 0 || at === lengthOf(earlier)
  }

  return {
    take(output) {
      const { delta, beside, besideOffset = 0 } = output
      const fresh = freshText(text, output)
      if (fresh === null) return null
      text += fresh
      if (!beside) return fresh === '' ? [] : [{ index: 0, content: fresh }]
      if (output.attempt !== attempt && !begin(output.attempt, besideOffset)) return null
      const piece = joint.push(beside)
      if (piece === null) return null
      // Log probabilities of a text that was told came with it.
      if (piece.index === 0 && fresh !== delta) delete piece.logprobs
      if (piece.logprobs) withLogprobs.add(piece.index)
      const own = piece.index === 0 && fresh !== '' ? { ...piece, content: fresh } : piece
      const pieces = [own, ...(own === piece && fresh !== '' ? [{ index: 0, content: fresh }] : [])]
      return pieces.filter((one) => Object.keys(one).length > 1)
    },
    rest(output) {
      const told = createJoint(joint.texts())
      const pieces = choicesOf(output).map((choice, index) => {
        // The room has seen to the text of the first.
        const rest = told.push(besideOf(choice, index))
        return rest && choice.logprobs && !withLogprobs.has(index) ? { ...rest, logprobs: choice.logprobs } : rest
      })
      return pieces.every((piece) => piece !== null) && told.isWhole() ? (pieces as ChatPiece[]) : null
    },
    length: () => text.length + lengthOf(joint.texts()),
  }
}

/** The texts of a whole choice but that of the first. */
function besideOf({ content, refusal, reasoning_content, tool_calls = [] }: ChatChoice, index: number): ChatPiece {
  const calls = tool_calls.map(({ id, type, function: called }, call) => ({
    index: call,
    ...strings({ id, type }),
    function: strings((called ?? {}) as object),
  }))
  return {
    index,
    ...strings({ content: index > 0 && content, refusal, reasoning_content }),
    ...(calls.length > 0 && { tool_calls: calls }),
  }
}

const strings = (of: object) => Object.fromEntries(Object.entries(of).filter(([, text]) => typeof text === 'string'))
