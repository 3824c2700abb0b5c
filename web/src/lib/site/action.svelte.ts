/** What a button or a form does, as a page shows it: whether it is under way, and what went wrong the last time. */
export function createAction() {
  let busy = $state(false)
  let fault = $state.raw<unknown>(null)
  return {
    get busy() {
      return busy
    },
    get fault() {
      return fault
    },
    set fault(error: unknown) {
      fault = error
    },
    async run(work: () => Promise<unknown>): Promise<void> {
      busy = true
      fault = null
      try {
        await work()
      } catch (error) {
        fault = error
      }
      busy = false
    },
  }
}
