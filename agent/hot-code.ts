/**
 * V8's compilers for hot code, which an agent that idles does without: its start makes code hot that is never needed again, and they
 * are megabytes of Node's own file in memory. From its first task on it has them.
 */
import { setFlagsFromString } from 'node:v8'

let isDeferred = false

export function deferHotCode(): void {
  isDeferred = true
  setFlagsFromString('--no-maglev')
  setFlagsFromString('--no-turbofan')
}

/** There is work. Costs nothing where it was not deferred. */
export function compileHotCode(): void {
  if (!isDeferred) return
  isDeferred = false
  setFlagsFromString('--maglev')
  setFlagsFromString('--turbofan')
}
