/** A piece of what a chat writes, as it comes. */
import * as z from 'zod'
import { LIMITS } from './values.ts'

const Text = z.string().max(LIMITS.outputBytes).exactOptional()

/** What goes on in one choice, in OpenAI's words; the pieces of a text are joined as they come. */
export const ChatPiece = z
  .strictObject({
    index: z.int().min(0).max(15).describe('Which choice.'),
    content: Text,
    refusal: Text,
    reasoning_content: Text,
    tool_calls: z
      .array(
        z.strictObject({
          index: z.int().min(0).max(127).describe('Which call.'),
          id: Text,
          type: Text,
          function: z.strictObject({ name: Text, arguments: Text }).exactOptional(),
        }),
      )
      .max(128)
      .exactOptional(),
    logprobs: z.record(z.string().max(40), z.array(z.unknown())).exactOptional(),
  })
  .meta({ id: 'ChatPiece' })
export type ChatPiece = z.output<typeof ChatPiece>

/** What was written of each text beside that of the first choice, by where it is: `0.tool_calls.1.arguments`. */
export const ChatTexts = z.record(z.string(), z.string())
export type ChatTexts = z.output<typeof ChatTexts>
