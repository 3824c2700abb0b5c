export const THEMES = ['system', 'light', 'dark'] as const
export type Theme = (typeof THEMES)[number]

/** Also read by static/theme.js, before the first paint. */
const KEY = 'daicn.theme'

const isTheme = (value: unknown): value is Theme => THEMES.includes(value as Theme)

export function createTheme() {
  let theme = $state<Theme>('system')
  return {
    get value() {
      return theme
    },
    /** Takes what was remembered; the page already shows it. */
    restore() {
      const shown = document.documentElement.dataset.theme
      theme = isTheme(shown) ? shown : 'system'
    },
    choose(next: Theme) {
      theme = next
      if (next === 'system') delete document.documentElement.dataset.theme
      else document.documentElement.dataset.theme = next
      try {
        localStorage.setItem(KEY, next)
      } catch {
        // Storage may be blocked; the choice then lasts as long as the page.
      }
    },
  }
}
