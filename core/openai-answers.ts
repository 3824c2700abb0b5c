/** What the OpenAI routes answer, as schemas; core/openai.ts makes it of tasks. */
import * as z from 'zod'

const Usage = z.object({ prompt_tokens: z.int(), completion_tokens: z.int(), total_tokens: z.int() })
const Logprobs = z.looseObject({}).nullable()

export const ChatCompletion = z
  .object({
    id: z.string(),
    object: z.literal('chat.completion'),
    created: z.int(),
    model: z.string(),
    choices: z.array(
      z.object({
        index: z.int(),
        message: z.looseObject({ role: z.literal('assistant'), content: z.string().nullable() }),
        finish_reason: z.string(),
        logprobs: Logprobs,
      }),
    ),
    usage: Usage,
  })
  .meta({ id: 'ChatCompletion' })

const Chunk = z.object({
  id: z.string(),
  object: z.literal('chat.completion.chunk'),
  created: z.int(),
  model: z.string(),
  choices: z.array(
    z.object({
      index: z.int(),
      delta: z.looseObject({}),
      finish_reason: z.string().nullable(),
      logprobs: Logprobs.exactOptional(),
    }),
  ),
  usage: Usage.exactOptional(),
})
const Interruption = z.object({
  error: z.looseObject({ message: z.string(), type: z.string(), code: z.string(), param: z.string().nullable() }),
})
export const ChatChunk = z.union([Chunk, Interruption, z.literal('[DONE]')]).meta({ id: 'ChatChunk' })

const Text = z.object({
  id: z.string(),
  object: z.literal('text_completion'),
  created: z.int(),
  model: z.string(),
  choices: z.array(z.object({ index: z.int(), text: z.string(), logprobs: Logprobs, finish_reason: z.string() })),
})
export const TextCompletion = Text.extend({ usage: Usage }).meta({ id: 'TextCompletion' })
export const TextChunk = z
  .union([Text.extend({ usage: Usage.exactOptional() }), Interruption, z.literal('[DONE]')])
  .meta({ id: 'TextChunk' })

export const EmbeddingList = z
  .object({
    object: z.literal('list'),
    model: z.string(),
    data: z.array(
      z.object({
        object: z.literal('embedding'),
        index: z.int(),
        embedding: z.union([z.array(z.number()), z.string().describe('Base64 of little-endian 32-bit floats.')]),
      }),
    ),
    usage: Usage.omit({ completion_tokens: true }),
  })
  .meta({ id: 'EmbeddingList' })
