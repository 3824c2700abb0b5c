/** The same work as a program or a command line does it. Pure; the key is named, never written out. */
import type { NewTask } from '#client/task.ts'

export const FORMS = ['curl', 'openai', 'daicn'] as const
export type Form = (typeof FORMS)[number]
export const FORM_LABELS: Record<Form, string> = {
  curl: 'curl',
  openai: 'OpenAI (Python)',
  daicn: 'DAICN (TypeScript)',
}

/** Text longer than this is no part of a snippet: it stands for a file. */
const LONG = 4_000

export function snippetOf(form: Form, origin: string, task: NewTask): string {
  switch (form) {
    case 'curl':
      return task.kind === 'llm.chat'
        ? curl(`${origin}/v1/chat/completions`, { model: task.model, stream: true, ...task.input })
        : curl(`${origin}/v1/tasks?waitSeconds=25`, task)
    case 'openai':
      return openai(origin, task)
    case 'daicn':
      return daicn(origin, task)
  }
}

/** OpenAI's API has no call for the other kinds of work. */
export const formsOf = (kind: NewTask['kind']): Form[] =>
  FORMS.filter((form) => form !== 'openai' || kind === 'llm.chat' || kind === 'text.embed')

function curl(url: string, body: unknown): string {
  return [
    `curl ${quote(url)}`,
    '-H "authorization: Bearer $DAICN_KEY"',
    "-H 'content-type: application/json'",
    `-d ${quote(json(body))}`,
  ].join(' \\\n  ')
}

function openai(origin: string, { model, kind, input }: NewTask): string {
  const open = `import os\nfrom openai import OpenAI\n\nclient = OpenAI(base_url="${origin}/v1", api_key=os.environ["DAICN_KEY"])\n`
  if (kind === 'text.embed') {
    return `${open}answer = client.embeddings.create(model=${JSON.stringify(model)}, input=${json(input.texts)})\nprint([len(one.embedding) for one in answer.data])`
  }
  const { messages, max_tokens, temperature } = input as {
    messages: unknown
    max_tokens?: number
    temperature?: number
  }
  const more = [
    ...(max_tokens === undefined ? [] : [`    max_tokens=${max_tokens},\n`]),
    ...(temperature === undefined ? [] : [`    temperature=${temperature},\n`]),
  ].join('')
  return `${open}stream = client.chat.completions.create(\n    model=${JSON.stringify(model)},\n    messages=${json(messages)},\n${more}    stream=True,\n)\nfor chunk in stream:\n    print(chunk.choices[0].delta.content or "", end="")`
}

function daicn(origin: string, task: NewTask): string {
  const open = `import { connect } from 'daicn'\n\nconst daicn = connect({ edge: '${origin}', key: process.env.DAICN_KEY })\n`
  return task.kind === 'llm.chat'
    ? `${open}for await (const event of daicn.stream(${json(task)})) {\n  if (event.type === 'output') process.stdout.write(event.delta)\n}`
    : `${open}const { output, price } = await daicn.run(${json(task)})\nconsole.log(output, price)`
}

/** Content that is too long to read stands as what it would be. */
const json = (value: unknown): string =>
  JSON.stringify(
    value,
    (_, part) => (typeof part === 'string' && part.length > LONG ? '<base64 of the file>' : part),
    2,
  )

/** For a POSIX shell. */
const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
