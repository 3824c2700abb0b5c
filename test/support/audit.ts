/** Whether everybody can use a page: what axe finds, in both themes, and what does not fit phones and a wide screen. */
import axe from 'axe-core'
import type { Page } from 'playwright-core'

const WIDE = { width: 1440, height: 1000 }
/** The first is the narrowest that nothing may have to be scrolled sideways on; at the last the page is left. */
const SCREENS = [{ width: 360, height: 740 }, { width: 390, height: 844 }, WIDE]

/** Pages that are loaded from now on can be audited. */
export async function beginAudit(page: Page): Promise<void> {
  await page.addInitScript({ content: axe.source })
  // What fades in would be seen half-way, and its colours measured so.
  await page.emulateMedia({ reducedMotion: 'reduce' })
}

/** Audits the page as it stands, without loading it again. @returns its faults, one line each */
export async function audit(page: Page): Promise<string[]> {
  await page.setViewportSize(WIDE)
  await page.emulateMedia({ colorScheme: 'light' })
  const light = await violations(page)
  await page.emulateMedia({ colorScheme: 'dark' })
  // Only its colours are others.
  const dark = await violations(page, ['color-contrast'])
  const misfits: string[] = []
  for (const screen of SCREENS) {
    await page.setViewportSize(screen)
    misfits.push(...(await misfitsOn(page)).map((fault) => `at ${screen.width} px ${fault}`))
  }
  return [...light, ...dark, ...misfits]
}

/** What does not fit the screen: the page itself, texts that are cut off without a sign of it, and texts that lie upon each other. */
const misfitsOn = (page: Page): Promise<string[]> =>
  page.evaluate(async () => {
    // Charts take their new measure in the next frame.
    for (let frames = 0; frames < 2; frames++) await new Promise(requestAnimationFrame)
    const { scrollWidth, clientWidth } = document.documentElement
    const faults = scrollWidth > clientWidth ? [`it is ${scrollWidth} px wide`] : []
    const texts: { element: Element; words: string; box: DOMRect }[] = []
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement!
      const words = walker.currentNode.textContent!.trim().slice(0, 40)
      // What marks a chart has its own measures, and so has what is there for screen readers alone.
      if (words === '' || element.closest('svg, .unseen')) continue
      const range = document.createRange()
      range.selectNodeContents(walker.currentNode)
      const lines = [...range.getClientRects()].filter(({ width, height }) => width > 1 && height > 1)
      if (lines.length === 0 || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue
      texts.push(...lines.map((box) => ({ element, words, box })))
      for (let around: Element | null = element; around; around = around.parentElement) {
        const { overflowX, textOverflow } = getComputedStyle(around)
        if (overflowX === 'auto' || overflowX === 'scroll' || textOverflow === 'ellipsis') break
        if (overflowX !== 'hidden' && overflowX !== 'clip') continue
        const { left, right, width } = around.getBoundingClientRect()
        // The head of a table that is shown as cards.
        if (width <= 1) break
        if (lines.some((box) => box.left < left - 1 || box.right > right + 1)) faults.push(`"${words}" is cut off`)
      }
    }
    // What sticks to the screen lies upon what is scrolled, and what is scrolled within a box is hidden there.
    const isMoved = (element: Element) => {
      for (let around: Element | null = element; around; around = around.parentElement) {
        const { position, overflowX, overflowY } = getComputedStyle(around)
        if (position === 'sticky' || position === 'fixed') return true
        if (/auto|scroll|hidden|clip/.test(`${overflowX} ${overflowY}`) && around !== document.documentElement)
          return true
      }
      return false
    }
    const still = texts.filter(({ element }) => !isMoved(element)).sort((x, y) => x.box.top - y.box.top)
    for (const [i, { words, box }] of still.entries()) {
      for (let j = i + 1; j < still.length && still[j]!.box.top < box.bottom; j++) {
        const other = still[j]!
        const across = Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left)
        const down = Math.min(box.bottom, other.box.bottom) - other.box.top
        // Boxes of lines are taller than what is written in them.
        if (across > 2 && down > Math.min(box.height, other.box.height) / 2)
          faults.push(`"${words}" and "${other.words}" lie upon each other`)
      }
    }
    return [...new Set(faults)]
  })

async function violations(page: Page, rules?: string[]): Promise<string[]> {
  const found = await page.evaluate(async (only) => {
    const { axe } = globalThis as unknown as { axe: typeof import('axe-core') }
    return (await axe.run({ resultTypes: ['violations'], ...(only && { runOnly: only }) })).violations
  }, rules)
  return found.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} ${target}: ${failureSummary}`),
  )
}
