import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'

/** The Worker with these settings. */
const inWorkerd = (settings: Record<string, string>) =>
  cloudflareTest(async () => ({
    wrangler: { configPath: 'wrangler.toml' },
    miniflare: {
      bindings: {
        DEV: 'true',
        EDGE_SECRET: 'a secret of the tests alone, of no use anywhere else',
        OPERATOR_TOKEN: 'an-operator-of-the-tests-alone-0000',
        MIGRATIONS: await readD1Migrations('drizzle/migrations'),
        ...settings,
      },
    },
  }))

const IN_WORKERD = {
  // One workerd for many files; each finds it empty (test/support/reset.ts).
  isolate: false,
  setupFiles: ['test/support/reset.ts'],
  testTimeout: 30_000,
  maxWorkers: '100%',
}

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'node',
          isolate: false,
          include: ['test/**/*.test.ts'],
          exclude: ['test/worker/**', 'test/e2e/**'],
          testTimeout: 30_000,
          maxWorkers: '100%',
        },
      },
      {
        plugins: [
          inWorkerd({
            // Of test/worker/assurance.test.ts, by the secret below; what no account has cannot spend.
            CANARY_KEYS: `dk_${'ca'.repeat(20)}_ad0f4b37462f_${'0c'.repeat(24)}`,
            CANARY_SHARE: '1',
          }),
        ],
        test: { name: 'workerd', include: ['test/worker/*.test.ts'], ...IN_WORKERD },
      },
      {
        plugins: [inWorkerd({ CELLS: '4' })],
        test: { name: 'cells', include: ['test/worker/cells/*.test.ts'], ...IN_WORKERD },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/support/build.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // Whole networks and a browser, which wait more than they work: after the others, and four at a time.
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
