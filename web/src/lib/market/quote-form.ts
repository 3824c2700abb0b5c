/** A form's values as the task that they describe. Pure. */
import type { NewTask } from '#client/task.ts'
import type { Preference } from '#core/protocol/quote.ts'
import type { Region } from '#core/protocol/values.ts'

/** A program is no field of a form. */
export const QUOTED = ['llm.chat', 'text.embed', 'doc.ocr'] as const

export type QuoteForm = {
  kind: (typeof QUOTED)[number]
  model: string
  text: string
  maxTokens: number
  maxPrice: string
  preference: Preference
  region: Region | ''
  minReputation: number
}

/** A page stands for any other: an image is priced by its being one. */
const ANY_PAGE = 'AAAA'

export function taskOf(form: QuoteForm): NewTask {
  const { kind, model, text, maxTokens, maxPrice, preference, region, minReputation } = form
  const terms = {
    preference,
    ...(model && { model }),
    ...(maxPrice.trim() && { maxPrice: maxPrice.trim() }),
    requirements: { minReputation, ...(region && { region }) },
  }
  switch (kind) {
    case 'llm.chat':
      return { kind, ...terms, input: { messages: [{ role: 'user', content: text || ' ' }], max_tokens: maxTokens } }
    case 'text.embed':
      return { kind, ...terms, input: { texts: text.split('\n').filter(Boolean).slice(0, 64) } }
    case 'doc.ocr':
      return { kind, ...terms, input: { image: ANY_PAGE, mediaType: 'image/png' } }
  }
}
