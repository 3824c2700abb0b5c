import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's own folder. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url))

export const inRoot = (...parts: string[]): string => join(ROOT, ...parts)

/** Where a network keeps its state unless told otherwise. */
export const DEFAULT_STATE = inRoot('.daicn')
