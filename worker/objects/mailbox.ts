/** Answers that wait for an isolate to fetch them; see worker/line.ts for the other end. */
import type { CallAnswer } from '../line.ts'

/** How long an exchange is held open for answers. */
const HOLD_MS = 10_000
/** After so long without an exchange an isolate is taken for gone, and its answers with it. */
const GONE_MS = 60_000

export type Mailbox = { answers: CallAnswer[]; fetch: (() => void) | null; seenAt: number }
export type Mailboxes = Map<string, Mailbox>

export function mailboxOf(mailboxes: Mailboxes, isolate: string, now: number): Mailbox {
  const box = mailboxes.get(isolate) ?? { answers: [], fetch: null, seenAt: now }
  box.seenAt = now
  mailboxes.set(isolate, box)
  return box
}

/** Resolves when the box has answers, or after a while. A later hold of the same isolate ends this one. */
export function hold(box: Mailbox): Promise<void> {
  if (box.answers.length > 0) return Promise.resolve()
  box.fetch?.()
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      if (box.fetch === end) box.fetch = null
      resolve()
    }
    // Also when nothing else keeps the object's clock going: a hold must end before the platform ends who makes it.
    const timer = setTimeout(end, HOLD_MS)
    box.fetch = end
  })
}

export function put(box: Mailbox, answer: CallAnswer): void {
  box.answers.push(answer)
}

export function take(box: Mailbox): CallAnswer[] {
  const { answers } = box
  box.answers = []
  return answers
}

/** Lets go of holds with something to fetch; forgets isolates that are gone. */
export function deliver(mailboxes: Mailboxes, now: number): void {
  for (const [isolate, box] of mailboxes) {
    if (box.answers.length > 0) box.fetch?.()
    if (now - box.seenAt > GONE_MS) mailboxes.delete(isolate)
  }
}
