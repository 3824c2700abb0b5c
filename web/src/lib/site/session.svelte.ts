import type { Credential } from './credential.ts'

const KEPT = 'daicn.session'
/** Timers of browsers go no further. */
const LONGEST_MS = 2 ** 31 - 1

/** Who is at the keyboard. Kept by the browser for as long as the tab is open, and sent to this edge alone. */
export function createSession() {
  let credential = $state.raw<Credential | null>(null)
  let hasEnded = $state(false)
  let end: ReturnType<typeof setTimeout> | undefined

  function use(next: Credential | null) {
    credential = next
    hasEnded = false
    clearTimeout(end)
    if (next === null || next.expiresAt === null) return
    const ended = () => {
      keep(null)
      hasEnded = true
    }
    end = setTimeout(ended, Math.min(LONGEST_MS, next.expiresAt - Date.now()))
  }

  function keep(next: Credential | null) {
    use(next)
    try {
      if (next) sessionStorage.setItem(KEPT, JSON.stringify(next))
      else sessionStorage.removeItem(KEPT)
    } catch {
      // Storage may be blocked; it then lasts as long as the page.
    }
  }

  return {
    get credential() {
      return credential
    },
    /** True when the last sign-in was over before its owner disconnected. */
    get hasEnded() {
      return hasEnded
    },
    /** True when it may do what only the owner in person may. */
    get isOwner() {
      return credential !== null && credential.by !== 'key'
    },
    get connection() {
      return { edge: location.origin, ...(credential && { key: credential.token }) }
    },
    open: keep,
    close: () => keep(null),
    /** Takes what an earlier page of this tab kept. */
    restore() {
      try {
        const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? 'null') as Credential | null
        if (kept) use(kept)
      } catch {
        // What cannot be read is as good as nothing.
      }
    },
  }
}

export type Session = ReturnType<typeof createSession>
