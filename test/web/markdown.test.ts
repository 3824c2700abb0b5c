import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { GUIDES, guideLink } from '../../web/guides.ts'
import { renderMarkdown } from '../../web/markdown.ts'

const html = (source: string) => renderMarkdown(`# Title\n\n${source}`, guideLink).html.trim()

test('what a text says of HTML is told, not done', () => {
  expect(html('A <script>alert(1)</script> & `<b>` [x](https://a/"onclick="b)')).toBe(
    '<p>A &lt;script&gt;alert(1)&lt;/script&gt; &amp; <code>&lt;b&gt;</code> <a href="https://a/&quot;onclick=&quot;b">x</a></p>',
  )
  expect(html('<img src=x onerror=alert(1)>')).not.toContain('<img')
  expect(html('[x](javascript:alert)')).toBe('<p>x</p>')
})

test('an item has its code and its table in it', () => {
  const list = html('1. **One** step:\n\n       npm ci\n\n   | a | b |\n   | --- | --- |\n   | `x\\|y` | 2 |\n2. Two')
  expect(list.match(/<li>/g)).toHaveLength(2)
  expect(list).toContain('<strong>One</strong> step:')
  expect(list).toContain('<code>npm ci</code></pre>')
  expect(list).toContain('<td><code>x|y</code></td><td>2</td>')
})

test('every link from guide to guide ends at a heading', async () => {
  const guides = new Map<string, string>()
  for (const { name } of GUIDES)
    guides.set(name, renderMarkdown(await readFile(`docs/${name}.md`, 'utf8'), guideLink).html)
  for (const [name, html] of guides) {
    for (const [, to = name, part] of html.matchAll(/href="(?:\/guide\/([a-z]+))?(?:#([^"]+))?"/g)) {
      expect(guides.has(to)).toBe(true)
      if (part) expect(guides.get(to)).toContain(`id="${part}"`)
    }
    // Nothing is left of the marks.
    expect(html.replace(/<(pre|code)\b[\s\S]*?<\/\1>/g, '')).not.toMatch(/```|\*\*|\]\(|^#/m)
  }
})
