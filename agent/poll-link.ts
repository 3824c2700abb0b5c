/** Long polls, for networks that let no socket through. */
import { LIMITS } from '#core/protocol/values.ts'
import { EdgeError } from './edge.ts'
import { forgetSent, hasUnsent, held, nextPoll } from './lease-book.ts'
import type { Link, LinkEnd, LinkOptions } from './socket-link.ts'
import { pause } from './timing.ts'

/** @param untilMs when to end, so that the socket is tried again */
export function linkPolls({ edge, book, leaseSeconds, onAnswer, now, timing }: LinkOptions, untilMs: number): Link {
  const closing = new AbortController()
  /** Present while a poll only waits, or a pause runs: it may be cut short, for whatever is lost is delivered again. */
  let waiting: AbortController | undefined
  let answered = false

  const wait = () => {
    waiting = new AbortController()
    return AbortSignal.any([closing.signal, waiting.signal])
  }

  async function poll(): Promise<{ empty: boolean }> {
    // The first poll is answered at once and so proves the connection.
    const longest = Math.min(
      LIMITS.waitSeconds,
      held(book) > 0 ? leaseSeconds / 3 : LIMITS.waitSeconds,
      Math.max(untilMs - now(), 0) / 1000,
    )
    const body = { ...nextPoll(book, now()), waitSeconds: answered ? longest : 0 }
    const signal = body.results.length === 0 && answered ? wait() : closing.signal
    const answer = await edge.poll(body, signal)
    waiting = undefined
    const empty = answered && answer.leases.length + answer.results.length + answer.revoked.length === 0
    answered = true
    onAnswer(answer)
    return { empty }
  }

  async function run(): Promise<LinkEnd> {
    let emptyInARow = 0
    while (!closing.signal.aborted && now() < untilMs) {
      const started = now()
      const cutShort = () => waiting?.signal.aborted === true
      try {
        const { empty } = await poll()
        emptyInARow = empty ? emptyInARow + 1 : 0
      } catch (error) {
        if (cutShort() && !closing.signal.aborted) continue
        if (error instanceof EdgeError) return { opened: answered, reason: error.message, code: error.code }
        return { opened: answered, reason: 'the edge sent an answer that is not of this protocol' }
      }
      const early = started + Math.min(timing.emptyPollMs * emptyInARow, 10_000) - now()
      if (emptyInARow > 0 && early > 0 && !hasUnsent(book)) await pause(early, wait())
      waiting = undefined
    }
    return { opened: true, reason: 'closed here' }
  }

  const ended = run().finally(() => forgetSent(book))
  return { ended, wake: () => waiting?.abort(), close: () => closing.abort() }
}
