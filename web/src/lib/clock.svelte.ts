/** The time of day as reactive state, moved once a second while somebody looks. */
export function createClock() {
  let now = $state(Date.now())
  return {
    get now() {
      return now
    },
    start() {
      const tick = () => {
        if (document.visibilityState === 'visible') now = Date.now()
      }
      const timer = setInterval(tick, 1000)
      document.addEventListener('visibilitychange', tick)
      return () => {
        clearInterval(timer)
        document.removeEventListener('visibilitychange', tick)
      }
    },
  }
}
