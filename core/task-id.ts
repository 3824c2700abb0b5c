/** `<cell>-<time><random>`: any Worker can route it, and when it was made can be read from it. */
const TIME_LENGTH = 9

/** @param random at least eight unguessable characters of [0-9a-z] */
export function makeTaskId(cell: string, createdAt: number, random: string): string {
  return `${cell}-${createdAt.toString(36).padStart(TIME_LENGTH, '0')}${random}`
}

export function parseTaskId(id: string): { cell: string; createdAt: number } | null {
  const match = /^([a-z0-9]{1,20})-([0-9a-z]{9})[0-9a-z]{8,20}$/.exec(id)
  return match && { cell: match[1]!, createdAt: Number.parseInt(match[2]!, 36) }
}
