import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Miniflare } from 'miniflare'

type D1Database = Awaited<ReturnType<Miniflare['getD1Database']>>

/** Applies the folder's migrations that have not run yet, in order, each whole or not at all; the same book as `wrangler d1 migrations`. */
export async function migrate(database: D1Database, folder: string): Promise<string[]> {
  await database.exec(
    'CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)',
  )
  const { results } = await database.prepare('SELECT name FROM d1_migrations').all<{ name: string }>()
  const done = new Set(results.map(({ name }) => name))
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql') && !done.has(name)).sort()
  for (const name of names) {
    const statements = (await readFile(join(folder, name), 'utf8')).split('--> statement-breakpoint')
    await database.batch([
      ...statements.filter((sql) => sql.trim() !== '').map((sql) => database.prepare(sql)),
      database.prepare('INSERT INTO d1_migrations (name) VALUES (?)').bind(name),
    ])
  }
  return names
}
