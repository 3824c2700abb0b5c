import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from './paths.ts'
import { type Program, startProgram } from './process.ts'

export type EdgeProcess = {
  url: string
  pid: number
  /** workerd's process id, where the system tells it. */
  workerd: number | undefined
  program: Program
}

/** The edge as a process of its own; its log is `<state>/edge.log`. Rejects with the log's end if it does not come up. */
export async function spawnEdge(options: {
  port?: number
  state: string
  build?: boolean
  /** Settings of the chain, by their names in wrangler.toml. */
  chain?: Record<string, string>
  /** The folder of another version of this repository, whose edge it is. */
  root?: string
}): Promise<EdgeProcess> {
  await mkdir(options.state, { recursive: true })
  const log = join(options.state, 'edge.log')
  const args = ['--port', String(options.port ?? 0), '--state', options.state]
  if (options.build === false) args.push('--no-build')
  const program = startProgram(join(options.root ?? ROOT, 'scripts/edge.ts'), args, { log, env: options.chain ?? {} })
  const ready = await Promise.race([
    new Promise<{ url: string; pid: number; workerd?: number }>((resolve) => {
      program.onLine((line) => {
        if (line.startsWith('{"ready":true')) resolve(JSON.parse(line))
      })
    }),
    program.ended.then((code) => {
      throw new Error(`the edge ended with code ${code} before it was ready; see ${log}`)
    }),
  ])
  return { url: ready.url, pid: ready.pid, workerd: ready.workerd, program }
}
