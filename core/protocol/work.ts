/** Kinds of work: what goes in and what comes out. */
import * as z from 'zod'
import { BlobRef } from '../blob-ref.ts'
import { MEDIA_TYPES } from '../image-size.ts'
import { ContainerInput, GpuInput, ProgramOutput, WasiInput } from '../program.ts'
import { UPSCALE_PIXELS, upscaleFault } from '../upscale.ts'
import { ChatTexts } from './chat-piece.ts'
import { Count } from './values.ts'

const ChatMessage = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: z.union([z.string(), z.array(z.looseObject({ type: z.string() })), z.null()]).optional(),
})

/**
 * Inputs by kind. `llm.chat` takes the fields of an OpenAI chat request and hands on those it does not know; what a provider must
 * honour for that is in core/capability.ts.
 */
export const INPUTS = {
  'llm.chat': z.looseObject({
    messages: z.array(ChatMessage).min(1).max(2048),
    max_tokens: z.int().min(1).max(131_072).optional(),
    max_completion_tokens: z.int().min(1).max(131_072).optional(),
    temperature: z.number().min(0).max(2).optional(),
    top_p: z.number().min(0).max(1).optional(),
    stop: z.union([z.string(), z.array(z.string()).max(4)]).optional(),
    seed: z.int().optional(),
    n: z.int().min(1).max(16).optional(),
    frequency_penalty: z.number().min(-2).max(2).optional(),
    presence_penalty: z.number().min(-2).max(2).optional(),
    logprobs: z.union([z.boolean(), z.int().min(0).max(20)]).optional(),
    top_logprobs: z.int().min(0).max(20).optional(),
    tools: z
      .array(z.looseObject({ type: z.string() }))
      .max(128)
      .optional(),
    response_format: z.looseObject({ type: z.enum(['text', 'json_object', 'json_schema']) }).optional(),
    /** Go on with the text of the messages as it is, without a chat format. */
    raw: z.boolean().optional(),
  }),
  'text.embed': z.strictObject({
    texts: z.array(z.string().min(1)).min(1).max(64),
    dimensions: z.int().min(1).max(65_536).optional(),
  }),
  'doc.ocr': z.strictObject({
    image: z.union([z.base64().min(1), BlobRef]).describe('Base64 of a PNG or JPEG, or a reference to one.'),
    mediaType: z.enum(MEDIA_TYPES),
  }),
  'image.upscale': z
    .strictObject({
      image: z
        .base64()
        .min(1)
        .describe(`Base64 of a PNG or JPEG with at most ${UPSCALE_PIXELS} pixels, as 160 x 128 has.`),
      mediaType: z.enum(MEDIA_TYPES),
    })
    .superRefine((input, context) => {
      const [field, message] = upscaleFault(input) ?? []
      if (field !== undefined) context.addIssue({ code: 'custom', path: [field], message: message! })
    }),
  'wasi.run': WasiInput,
  'container.run': ContainerInput,
  'gpu.exec': GpuInput,
} as const

export type Kind = keyof typeof INPUTS
export const KINDS = Object.keys(INPUTS) as Kind[]
export const Kind = z.enum([
  'llm.chat',
  'text.embed',
  'doc.ocr',
  'image.upscale',
  'wasi.run',
  'container.run',
  'gpu.exec',
])
/** Programs of images: their model is the image. */
export type ContainerKind = 'container.run' | 'gpu.exec'
/** Programs of somebody else's. */
export type ProgramKind = 'wasi.run' | ContainerKind
export const isContained = (kind: Kind): kind is ContainerKind => kind === 'container.run' || kind === 'gpu.exec'
export const isProgram = (kind: Kind): kind is ProgramKind => kind === 'wasi.run' || isContained(kind)
export type InputOf<K extends Kind> = z.output<(typeof INPUTS)[K]>

/** One choice; what goes beyond our own fields has OpenAI's names. */
const ChatChoice = z.looseObject({
  content: z.string().nullable(),
  finishReason: z.string(),
  tool_calls: z.array(z.looseObject({})).optional(),
  logprobs: z.looseObject({}).nullable().optional(),
})
export type ChatChoice = z.output<typeof ChatChoice>

/** Outputs by kind. */
export const OUTPUTS = {
  'llm.chat': ChatChoice.extend({
    /** The further choices of a request for more than one. */
    alternatives: z.array(ChatChoice).max(15).optional(),
  }),
  'text.embed': z.strictObject({ embeddings: z.array(z.array(z.number())).min(1) }),
  'doc.ocr': z.strictObject({ text: z.string(), confidence: z.number().min(0).max(1) }),
  'image.upscale': z.strictObject({
    image: z.base64().min(1).describe('Base64 of a PNG.'),
    width: z.int().min(1),
    height: z.int().min(1),
  }),
  'wasi.run': ProgramOutput,
  'container.run': ProgramOutput,
  'gpu.exec': ProgramOutput,
} as const
export type OutputOf<K extends Kind> = z.output<(typeof OUTPUTS)[K]>

export const choicesOf = ({ alternatives = [], ...first }: OutputOf<'llm.chat'>): ChatChoice[] => [
  first,
  ...alternatives,
]

/** The part of a stream that was already delivered: its text, how many output tokens that is, and what was written beside it. */
export const Prefix = z.object({
  text: z.string(),
  tokens: z.int(),
  beside: ChatTexts.exactOptional().describe(
    'Tool calls, further choices and reasoning, each text by where it is: `0.tool_calls.1.arguments`. They are written again, as they were, and told only from there on; in the result they are whole.',
  ),
})
export type Prefix = z.output<typeof Prefix>

export const Usage = z.object({ inputTokens: Count, outputTokens: Count })
export type Usage = z.output<typeof Usage>
