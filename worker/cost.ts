/** What this Worker has used of the platform's billed storage since it started: rows written by objects and by D1. */
export const cost = { objectRows: 0, databaseRows: 0 }
