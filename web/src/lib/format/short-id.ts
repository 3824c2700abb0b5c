/** The middle of a long id left out: 'task_01J…8fz2kq'. Ids often share their beginning, so the end is the longer part. */
export function shortId(id: string, head = 4, tail = 6): string {
  return id.length <= head + tail + 3 ? id : `${id.slice(0, head)}…${id.slice(-tail)}`
}

/** '0x52908400098527886e0f7030069857d2e4169ee7' -> '0x5290…9ee7'. */
export function shortAddress(address: string): string {
  return shortId(address, 6, 4)
}
