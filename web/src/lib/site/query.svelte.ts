import { afterNavigate, replaceState } from '$app/navigation'
import { page } from '$app/state'

/** The values that a page keeps in its address, so that it can be shared: read when it opens, written without a step in the history. */
export function createQuery<Name extends string>(...names: Name[]) {
  const values = $state(Object.fromEntries(names.map((name) => [name, ''])) as Record<Name, string>)
  let isRead = $state(false)

  afterNavigate(() => {
    for (const name of names) values[name] = page.url.searchParams.get(name) ?? ''
    isRead = true
  })

  return {
    get values(): Readonly<Record<Name, string>> {
      return values
    },
    /** False while the page is not in a browser yet, where nobody knows its address. */
    get isRead() {
      return isRead
    },
    set(name: Name, value: string) {
      values[name] = value
      const url = new URL(location.href)
      if (value === '') url.searchParams.delete(name)
      else url.searchParams.set(name, value)
      replaceState(url, {})
    },
  }
}
