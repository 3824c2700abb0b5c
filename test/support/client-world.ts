/** What a client program needs: an edge, an agent with its own small models and a model server, and an API key. */
import { join } from 'node:path'
import { call } from '../../client/edge.ts'
import { startAgentProcess } from './agent-process.ts'
import { createWorld, newRequester, type World } from './fault-world.ts'
import { startUpstreamProcess } from './upstream-process.ts'

export const LOCAL_MODEL = 'daicn-tiny'
export const EMBEDDER = 'universal-sentence-encoder'

export type ClientWorld = { world: World; baseURL: string; apiKey: string }

export async function createClientWorld(): Promise<ClientWorld> {
  const world = await createWorld()
  const upstream = await startUpstreamProcess(join(world.folder, 'upstream.log'))
  world.defer(() => upstream.stop())
  await startAgentProcess(world, 'north', ['text.embed', 'llm.chat'], upstream.url)
  const requester = await newRequester(world)
  const { key } = await call<{ key: string }>(requester.caller, 'POST', '/v1/keys', { body: { name: 'client' } })
  return { world, baseURL: `${world.url}/v1`, apiKey: key }
}
