/** A server that speaks the OpenAI protocol as llama-server and vLLM do, with made-up text. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

type Model = { id: string; owned_by?: string; max_model_len?: number }

export async function startOpenAiServer(models: Model[] = [{ id: 'm', owned_by: 'vllm', max_model_len: 4096 }]) {
  const requests: { path: string; authorization: string | undefined; body: Record<string, unknown> | undefined }[] = []
  const behaviour = {
    fail: undefined as number | undefined,
    words: ['one', ' two', ' three'],
    breakOff: false,
    /** Goes on with an assistant's message at the end, as vLLM does: the white space at its end is cut off first. */
    continues: false,
    tools: false,
    /** Length of the vectors that it makes, as of a server for embeddings alone, and whether they may be cut short. */
    embeds: 0,
    cuts: false,
    /** What ollama says of a model. */
    shows: undefined as string[] | undefined,
    /** What ollama says of the models that it has loaded. */
    loaded: undefined as object[] | undefined,
  }

  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const body = text ? JSON.parse(text) : undefined
    requests.push({ path: request.url!, authorization: request.headers.authorization, body })
    const json = (status: number, value: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    if (request.url === '/v1/models') return json(200, { object: 'list', data: models })
    if (request.url === '/api/show' && behaviour.shows) return json(200, { capabilities: behaviour.shows })
    if (request.url === '/api/ps' && behaviour.loaded) return json(200, { models: behaviour.loaded })
    if (request.url === '/v1/embeddings' && behaviour.embeds > 0 && !behaviour.fail) {
      const length = behaviour.cuts ? (body.dimensions ?? behaviour.embeds) : behaviour.embeds
      const vectors = [body.input].flat().map((text: string) => Array.from({ length }, (_, i) => text.length / (i + 1)))
      const data = vectors.map((embedding, index) => ({ index, embedding })).reverse()
      return json(200, { object: 'list', data, usage: { prompt_tokens: 1 } })
    }
    if (request.url !== '/v1/chat/completions' || behaviour.embeds > 0)
      return json(404, { error: { message: 'not here' } })
    if (behaviour.fail) return json(behaviour.fail, { error: { message: 'out of order' } })

    const chunk = (value: unknown) => response.write(`data: ${JSON.stringify(value)}\n\n`)
    const choice = (delta: unknown, finish_reason: string | null = null) =>
      chunk({ choices: [{ index: 0, delta, finish_reason }] })
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    choice({ role: 'assistant', content: '' })
    if (behaviour.tools) {
      choice({ tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'add', arguments: '' } }] })
      for (const piece of ['{"a":', '1}']) choice({ tool_calls: [{ index: 0, function: { arguments: piece } }] })
      choice({}, 'tool_calls')
    } else {
      const { role, content } = body.messages.at(-1)
      const given = behaviour.continues && role === 'assistant' ? content.trim() : ''
      let skip = given.length
      const words = behaviour.words.flatMap((word) => {
        const rest = word.slice(skip)
        skip = Math.max(skip - word.length, 0)
        return rest === '' ? [] : [rest]
      })
      for (const word of words.slice(0, body.max_tokens)) choice({ content: word })
      if (behaviour.breakOff) return response.end()
      choice({}, 'stop')
    }
    chunk({ choices: [], usage: { prompt_tokens: 7, completion_tokens: behaviour.words.length } })
    return response.end('data: [DONE]\n\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    behaviour,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
