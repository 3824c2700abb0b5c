#!/usr/bin/env node
// The compiler as forge expects it, from the npm package: `--version`, or standard JSON from stdin to stdout. Nothing is downloaded.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const solc = createRequire(import.meta.url)('solc')

if (process.argv.includes('--version')) {
  console.log(
    `solc, the solidity compiler commandline interface\nVersion: ${solc.version().replace('Emscripten.clang', 'Linux.g++')}`,
  )
} else {
  process.stdout.write(solc.compile(readFileSync(0, 'utf8')))
}
