/** Shown where a value is not known. */
export const MISSING = '—'
