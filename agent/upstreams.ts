/** Looks for servers on this machine that speak the OpenAI protocol, and for the models each of them has. */

import type { Kind } from '#core/protocol/work.ts'
import type { Ask, FoundDevice } from './devices/device.ts'
import { devicesOf } from './devices/server.ts'
import { call } from './http.ts'
import type { Log } from './log.ts'
import { placed } from './placed.ts'
import type { Probe, Runner } from './runner.ts'
import { createEmbedRunner } from './runners/embed-upstream.ts'
import { createUpstreamRunner } from './runners/openai-upstream.ts'

/** Where ollama, vLLM and llama-server listen unless told otherwise. */
export const USUAL = ['http://127.0.0.1:11434', 'http://127.0.0.1:8000', 'http://127.0.0.1:8080']

/** What such servers do. */
export const UPSTREAM_KINDS: Kind[] = ['llm.chat', 'text.embed']

/** A port that nobody listens on refuses at once; a machine that is starting much else may answer late. */
const LOOK_MS = 10_000
/** Each model has to be loaded to be probed; a box full of them would take an hour. */
const MODELS = 8
/** vLLM batches what comes together. */
const VLLM_CONCURRENCY = 8

/** What servers honour that one answer cannot show, by their own documentation. */
const EVERY_SERVER = ['frequency_penalty', 'presence_penalty']
const BY_SERVER: Record<string, string[]> = {
  vllm: ['logit_bias', 'top_k', 'min_p', 'repetition_penalty', 'chat_template_kwargs'],
  llamacpp: ['logit_bias', 'top_k', 'min_p', 'repeat_penalty', 'chat_template_kwargs'],
}

type ModelEntry = {
  id: string
  owned_by?: string
  max_model_len?: number
  meta?: { n_ctx?: number; n_ctx_train?: number } | null
}

type Props = { total_slots?: number; default_generation_settings?: { n_ctx?: number } }
type Tags = { models?: { name: string; digest?: string; details?: { quantization_level?: string } }[] }
type Shown = { capabilities?: string[] }
type Loaded = { models?: { name: string; size_vram?: number }[] }

export type Search = {
  /** Asked for by name: silence from them is told. */
  named: string[]
  /** Places to look at without being asked. */
  usual: string[]
  /** Never upstreams, or tasks would go in circles. */
  edges: string[]
  /** What may be offered. */
  kinds: Kind[]
  apiKey: string | undefined
  /** Of this machine. */
  devices: Promise<FoundDevice[]>
  /** Where servers compute by their owner's word, by their origins; nothing where that is not to be said. */
  placing: Record<string, string[]>
  /** What the tools for cards print. */
  askTool: Ask
}

export async function findUpstreams(search: Search, log: Log): Promise<Runner[]> {
  const { named, usual, edges, kinds, apiKey } = search
  const urls = [...new Set([...named, ...usual])].filter((url) => !edges.includes(url))
  const found = await Promise.all(
    urls.map(async (url) => {
      const key = named.includes(url) ? apiKey : undefined // not for whoever happens to listen on a usual port
      const kind = UPSTREAM_KINDS.find((kind) => kinds.includes(kind))
      const missing = (why: string, mend?: string) => log('missing', { kind, model: url, why, mend })
      const models = await listModels(url, key)
      if (models === undefined && named.includes(url))
        missing('no OpenAI-compatible server answers there', 'start the server, or correct --upstream')
      if (models?.length === 0) missing('the server has no models', 'load one, for example: ollama pull MODEL')
      if ((models?.length ?? 0) > MODELS) missing(`only the first ${MODELS} of ${models?.length} models are probed`)
      const isAlone = models?.length === 1
      const described = (models ?? []).slice(0, MODELS).map(async (model) => {
        const runner = await describe(url, model, key)
        return placed(runner, () => lookFor(search, { url, model: runner.model, isAlone, apiKey: key }))
      })
      return Promise.all(described)
    }),
  )
  return found.flat().filter(({ kind }) => kinds.includes(kind))
}

/** Undefined when nothing that speaks the protocol answers. */
export async function listModels(url: string, apiKey: string | undefined): Promise<ModelEntry[] | undefined> {
  const answer = await look<{ data?: ModelEntry[] }>(`${url}/v1/models`, apiKey)
  if (!Array.isArray(answer?.data)) return undefined
  return answer.data.filter(({ id, owned_by }) => typeof id === 'string' && id.length <= 200 && owned_by !== 'daicn')
}

async function describe(url: string, entry: ModelEntry, apiKey: string | undefined): Promise<Runner> {
  const isOllama = entry.owned_by !== 'vllm' && entry.owned_by !== 'llamacpp'
  const [props, tags, isEmbedder] = await Promise.all([
    entry.owned_by === 'llamacpp' ? look<Props>(`${url}/props`, apiKey) : undefined,
    isOllama ? look<Tags>(`${url}/api/tags`, apiKey) : undefined,
    embeds(url, entry.id, isOllama, apiKey),
  ])
  const tag = tags?.models?.find(({ name }) => name === entry.id || name === `${entry.id}:latest`)
  const context = entry.max_model_len ?? props?.default_generation_settings?.n_ctx ?? entry.meta?.n_ctx
  const quantization = tag?.details?.quantization_level?.slice(0, 40)
  const known: Omit<Probe, 'speed'> = {
    ...(Number.isInteger(context) && context! > 0 ? { context: context! } : {}),
    ...(tag?.digest ? { digest: `ollama:${tag.digest}`.slice(0, 200) } : {}),
    ...(quantization ? { quantization } : {}),
  }
  const concurrency = entry.owned_by === 'vllm' ? VLLM_CONCURRENCY : Math.max(props?.total_slots ?? 1, 1)
  const upstream = { url, model: entry.id, concurrency, apiKey, known }
  if (isEmbedder) return createEmbedRunner(upstream)
  const capabilities = [...EVERY_SERVER, ...(BY_SERVER[entry.owned_by ?? ''] ?? [])]
  return createUpstreamRunner({ ...upstream, known: { ...known, capabilities } })
}

type Wanted = { url: string; model: string; isAlone: boolean; apiKey: string | undefined }

/** On which devices the server has the model, which has just worked. */
async function lookFor(
  { placing, devices, askTool }: Search,
  { url, model, isAlone, apiKey }: Wanted,
): Promise<string[] | undefined> {
  const said = placing[url]
  if (said) return said.length > 0 ? said : undefined
  const here = await devices
  const loaded = (await look<Loaded>(`${url}/api/ps`, apiKey))?.models
  if (!Array.isArray(loaded)) return devicesOf({ url, cardBytes: undefined, isAlone }, here, askTool)
  // ollama also passes on to models that are elsewhere, which it has not loaded.
  const own = loaded.find(({ name }) => name === model || name === `${model}:latest`)
  return own && devicesOf({ url, cardBytes: own.size_vram, isAlone: loaded.length === 1 }, here, askTool)
}

/**
 * Whether the model is one for embeddings. ollama says so, for it makes vectors of chat models too; the others serve a model for one
 * or for the other, and refuse what it is not for.
 */
async function embeds(url: string, model: string, isOllama: boolean, apiKey: string | undefined): Promise<boolean> {
  const told = isOllama ? await look<Shown>(`${url}/api/show`, apiKey, { model }) : undefined
  if (told?.capabilities) return !told.capabilities.includes('completion') && told.capabilities.includes('embedding')
  const answer = await look<{ data?: { embedding?: unknown }[] }>(`${url}/v1/embeddings`, apiKey, { model, input: 'a' })
  return Array.isArray(answer?.data?.[0]?.embedding)
}

/** @param body with it, it is posted */
async function look<T>(url: string, apiKey: string | undefined, body?: object): Promise<T | undefined> {
  try {
    const headers = {
      ...(apiKey && { authorization: `Bearer ${apiKey}` }),
      ...(body && { 'content-type': 'application/json' }),
    }
    const posted = body && { method: 'POST', body: JSON.stringify(body) }
    const response = await call(url, { headers, ...posted, signal: AbortSignal.timeout(LOOK_MS) })
    return response.ok ? ((await response.json()) as T) : undefined
  } catch {
    return undefined
  }
}
