/** `<cell>-<time><random>`: any Worker can route it, and when it was made can be read from it. */
const TIME_LENGTH = 9
/** Of what is random, the last characters say in which object the task's room is. */
const ROOM_LENGTH = 2
const MOST_ROOMS = 36 ** ROOM_LENGTH
/** Tasks that share an object, about: so much that it is mostly there already when a task comes, and no more than it bears. */
const ROOM_TASKS = 32

/** @param random at least eight unguessable characters of [0-9a-z] */
export function makeTaskId(cell: string, createdAt: number, random: string): string {
  return `${cell}-${createdAt.toString(36).padStart(TIME_LENGTH, '0')}${random}`
}

export function parseTaskId(id: string): { cell: string; createdAt: number } | null {
  const match = /^([a-z0-9]{1,20})-([0-9a-z]{9})[0-9a-z]{8,20}$/.exec(id)
  return match && { cell: match[1]!, createdAt: Number.parseInt(match[2]!, 36) }
}

/** @param open tasks that are open now @param lot evenly in 0..1 @returns the end of an id */
export function roomPart(open: number, lot: number): string {
  const rooms = Math.min(1 + Math.floor(open / ROOM_TASKS), MOST_ROOMS)
  return Math.floor(lot * rooms)
    .toString(36)
    .padStart(ROOM_LENGTH, '0')
}

/** The name of the object that has the task's room. */
export const roomOf = (id: string): string => `${id.slice(0, id.lastIndexOf('-'))}-${id.slice(-ROOM_LENGTH)}`
