/** The Markdown of docs/, made into HTML when the site is built. HTML of a text's own is shown as it is written, not done. */
import { Marked, type Tokens } from 'marked'

export type Rendered = { title: string; html: string; headings: { id: string; text: string }[] }

/** Where a link leads to; null leaves its words alone, as for a file that is not part of the site. */
export type Link = (href: string) => string | null

/** The title is the first heading, which the page shows itself. */
export function renderMarkdown(source: string, link: Link): Rendered {
  const marked = new Marked()
  const [first, ...tokens] = marked.lexer(source)
  const headings = tokens.filter((token) => token.type === 'heading' && token.depth === 2) as Tokens.Heading[]
  // What scrolls by itself is a landmark, and each has a name of its own.
  let scrollers = 0
  const scroller = (label: string) => `tabindex="0" role="region" aria-label="${label} ${++scrollers}"`
  marked.use({
    renderer: {
      html: ({ text }) => escaped(text),
      heading({ tokens, text, depth }) {
        return `<h${depth} id="${slug(text)}">${this.parser.parseInline(tokens)}</h${depth}>\n`
      },
      code: ({ text }) => `<pre ${scroller('Code')}><code>${escaped(text)}</code></pre>\n`,
      table({ header, rows }) {
        const cell = ({ tokens }: Tokens.TableCell, tag: string) =>
          `<${tag}>${this.parser.parseInline(tokens)}</${tag}>`
        const head = header.map((one) => cell(one, 'th')).join('')
        const body = rows.map((row) => `<tr>${row.map((one) => cell(one, 'td')).join('')}</tr>`).join('')
        return `<div class="scroll" ${scroller('Table')}><table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>\n`
      },
      link({ href, tokens }) {
        const words = this.parser.parseInline(tokens)
        const to = link(href)
        return to === null ? words : `<a href="${escaped(to)}">${words}</a>`
      },
    },
  })
  return {
    title: (first as Tokens.Heading).text,
    html: marked.parser(tokens),
    headings: headings.map(({ text }) => ({ id: slug(text), text: text.replaceAll('`', '') })),
  }
}

/** As GitHub makes the address of a heading. */
const slug = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escaped = (text: string): string => text.replace(/[&<>"]/g, (letter) => ENTITIES[letter]!)
