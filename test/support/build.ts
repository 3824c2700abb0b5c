/** Builds once what the end-to-end tests serve, before any of them runs. */
import { buildAgent, buildClient, buildWeb, buildWorker } from '../../scripts/build.ts'

export async function setup(): Promise<void> {
  await buildWeb()
  await buildWorker()
  await buildClient()
  await buildAgent()
}
