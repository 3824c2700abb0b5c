/**
 * The Markdown that docs/ is written in, made into HTML when the site is built. Everything of a text is escaped: no HTML of its own
 * gets through.
 */
export type Rendered = { title: string; html: string; headings: { id: string; text: string }[] }

/** Where a link leads to; null leaves its words alone, as for a file that is not part of the site. */
export type Link = (href: string) => string | null

const ITEM = /^( *)(-|\d+\.) +/
const FENCE = /^```/
const TABLE_RULE = /^\|[\s:|-]+\|$/

/** The title is the first heading, which the page shows itself. */
export function renderMarkdown(source: string, link: Link): Rendered {
  const lines = source.split('\n')
  const title = lines[0]!.replace(/^# /, '')
  const headings = lines
    .filter((line) => /^## /.test(line))
    .map((line) => ({ id: slug(line.slice(3)), text: line.slice(3).replaceAll('`', '') }))
  return { title, html: blocks(lines.slice(1), link), headings }
}

/** As GitHub makes the address of a heading. */
const slug = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')

function blocks(lines: readonly string[], link: Link): string {
  const html: string[] = []
  let i = 0
  /** Takes lines from here for as long as they fit. */
  const take = (fits: (line: string) => boolean) => {
    const from = i
    while (i < lines.length && fits(lines[i]!)) i++
    return lines.slice(from, i)
  }
  while (i < lines.length) {
    const line = lines[i]!
    const heading = /^(#{2,4}) (.*)/.exec(line)
    if (line.trim() === '') i++
    else if (heading) {
      i++
      const level = heading[1]!.length
      html.push(`<h${level} id="${slug(heading[2]!)}">${inline(heading[2]!, link)}</h${level}>`)
    } else if (FENCE.test(line)) {
      i++
      html.push(code(take((one) => !FENCE.test(one))))
      i++
    } else if (line.startsWith('    ')) {
      const text = take((one) => one.startsWith('    ') || one.trim() === '').map((one) => one.slice(4))
      html.push(code(text.join('\n').trimEnd().split('\n')))
    } else if (line.startsWith('|') && TABLE_RULE.test(lines[i + 1] ?? '')) {
      html.push(
        table(
          take((one) => one.startsWith('|')),
          link,
        ),
      )
    } else if (ITEM.test(line)) {
      const tag = /^ *-/.test(line) ? 'ul' : 'ol'
      html.push(`<${tag}>`)
      while (ITEM.test(lines[i] ?? '')) {
        const width = ITEM.exec(lines[i]!)![0].length
        const first = lines[i++]!.slice(width)
        const rest = take((one) => one.trim() === '' || one.startsWith(' '.repeat(width)))
        html.push(`<li>${item([first, ...rest.map((one) => one.slice(width))], link)}</li>`)
      }
      html.push(`</${tag}>`)
    } else {
      const words = take((one) => one.trim() !== '' && !FENCE.test(one) && !ITEM.test(one) && !one.startsWith('|'))
      html.push(`<p>${inline(words.join(' '), link)}</p>`)
    }
  }
  return html.join('\n')
}

/** An item of one paragraph needs none around it. */
function item(lines: readonly string[], link: Link): string {
  const html = blocks(lines, link)
  return /^<p>(?:(?!<p>)[\s\S])*<\/p>$/.test(html) ? html.slice(3, -4) : html
}

// A wide text is scrolled by itself, also by keyboard, and moves nothing around it.
const code = (lines: readonly string[]): string =>
  `<pre tabindex="0" role="region" aria-label="Code"><code>${escaped(lines.join('\n'))}</code></pre>`

function table(lines: readonly string[], link: Link): string {
  const [head = '', , ...body] = lines
  const row = (line: string, tag: 'th' | 'td') => {
    const cells = line.slice(1, line.lastIndexOf('|')).split(/(?<!\\)\|/)
    const html = cells.map((cell) => {
      const text = inline(cell.trim().replaceAll('\\|', '|'), link)
      return tag === 'th' ? `<th scope="col">${text}</th>` : `<td>${text}</td>`
    })
    return `<tr>${html.join('')}</tr>`
  }
  const rows = body.map((line) => row(line, 'td')).join('')
  return `<div class="scroll" tabindex="0" role="region" aria-label="Table"><table><thead>${row(head, 'th')}</thead><tbody>${rows}</tbody></table></div>`
}

/** Whatever begins first is taken whole, so that nothing in code means anything else. */
function inline(text: string, link: Link): string {
  return text.replace(
    /`([^`]+)`|\[((?:`[^`]*`|[^\]`])+)\]\(([^)\s]+)\)|<(https?:[^>\s]+)>|\*\*([^*]+)\*\*|[&<>"]/g,
    (found, ...groups) => {
      const [text, words, href, address, strong] = groups as (string | undefined)[]
      if (text !== undefined) return `<code>${escaped(text)}</code>`
      if (words !== undefined) return anchor(inline(words, link), link(href!))
      if (address !== undefined) return anchor(escaped(address), address)
      if (strong !== undefined) return `<strong>${inline(strong, link)}</strong>`
      return escaped(found)
    },
  )
}

const anchor = (html: string, href: string | null): string =>
  href === null ? html : `<a href="${escaped(href)}">${html}</a>`

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escaped = (text: string): string => text.replace(/[&<>"]/g, (letter) => ENTITIES[letter]!)
