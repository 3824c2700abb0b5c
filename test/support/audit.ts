/** Whether everybody can use a page: what axe finds, in both themes, and what does not fit a small phone. */
import axe from 'axe-core'
import type { Page } from 'playwright-core'

/** The narrowest screen that nothing may have to be scrolled sideways on. */
const NARROW = { width: 360, height: 740 }
const WIDE = { width: 1440, height: 1000 }

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
  await page.setViewportSize(NARROW)
  const wide = await page.evaluate(async () => {
    // Charts take their new measure in the next frame.
    for (let frames = 0; frames < 2; frames++) await new Promise(requestAnimationFrame)
    return document.documentElement.scrollWidth
  })
  await page.setViewportSize(WIDE)
  const faults = [...light, ...dark]
  return wide > NARROW.width ? [...faults, `it is ${wide} px wide on a screen of ${NARROW.width}`] : faults
}

async function violations(page: Page, rules?: string[]): Promise<string[]> {
  const found = await page.evaluate(async (only) => {
    const { axe } = globalThis as unknown as { axe: typeof import('axe-core') }
    return (await axe.run({ resultTypes: ['violations'], ...(only && { runOnly: only }) })).violations
  }, rules)
  return found.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} ${target}: ${failureSummary}`),
  )
}
