// Runs before the first paint, so that a remembered theme never flashes.
try {
  const theme = localStorage.getItem('daicn.theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch {
  // Storage may be blocked; the system's theme is used then.
}

// zod would try whether it may write functions by text: it may not, and the browser would report that as an attack.
globalThis.__zod_globalConfig = { jitless: true }
