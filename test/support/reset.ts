/** Gives each test file of the workerd project objects and a database with nothing in them but today's tables. */
import { applyD1Migrations, type D1Migration, reset } from 'cloudflare:test'
import { env } from 'cloudflare:workers'

const { DB, MIGRATIONS } = env as unknown as { DB: D1Database; MIGRATIONS: D1Migration[] }
await reset()
await applyD1Migrations(DB, MIGRATIONS)
