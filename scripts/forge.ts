/** Runs forge and ends as it ends: the launcher of its npm package ends with 0 whatever forge said. */
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'

const arch = process.arch === 'x64' ? 'amd64' : process.arch
const binary = createRequire(import.meta.url).resolve(`@foundry-rs/forge-${process.platform}-${arch}/bin/forge`)
const child = spawn(binary, process.argv.slice(2), { stdio: 'inherit' })
child.once('exit', (code) => {
  process.exitCode = code ?? 1
})
