import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startAgent } from '../../scripts/agents.ts'
import { launchBrowser } from '../../scripts/browser.ts'
import { openRequester, type Requester } from '../../scripts/requester.ts'
import { type Agents, MODEL, registerProviders, startAgents } from '../bench/agents.ts'
import { spawnEdge, type TestEdge, temporaryState } from '../support/edge.ts'
import { startUpstreamProcess, UPSTREAM_MODEL } from '../support/upstream-process.ts'

let folder: Awaited<ReturnType<typeof temporaryState>>
let edge: TestEdge
let agents: Agents
let requester: Requester
let browser: Browser
let page: Page
/** Ends what a test started, before the edge. */
const ends: (() => Promise<unknown>)[] = []
const faults: string[] = []

beforeAll(async () => {
  folder = await temporaryState()
  edge = await spawnEdge({ state: folder.state })
  agents = await startAgents(edge.url, await registerProviders(edge.url, 1, 1), 1)
  requester = await openRequester(edge.url, `${folder.state}/requester`)
  browser = await launchBrowser()
  page = await browser.newPage()
  page.setDefaultTimeout(20_000)
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('requestfailed', (request) => {
    const { errorText = '' } = request.failure() ?? {}
    // The page itself broke it off: it left, or had all it wanted of a stream.
    if (errorText !== 'net::ERR_ABORTED') faults.push(`${request.url()} ${errorText}`)
  })
})

afterAll(async () => {
  await browser?.close()
  await Promise.all(ends.map((end) => end()))
  await agents?.stop().catch(() => {})
  await edge?.stop()
  await folder?.remove()
})

/** As a provider may name itself, and a person may ask. */
const HOSTILE = '<img src=x onerror="document.title=1"> \u202e'

const tile = (label: string) => page.getByRole('button', { name: label }).locator('.value')
const shows = (label: string, value: string) =>
  tile(label)
    .filter({ hasText: new RegExp(`^${value}$`) })
    .waitFor()
const chat = () =>
  requester.daicn.run({
    kind: 'llm.chat',
    model: MODEL,
    input: { messages: [{ role: 'user', content: 'Hello' }] },
  })

test('the numbers move live when a task is done', async () => {
  await page.goto(edge.url)
  await shows('Total providers', '1')
  await shows('Active providers', '1')
  await shows('Total tasks', '0')

  expect((await chat()).status).toBe('succeeded')
  await shows('Total tasks', '1')
  const row = page.getByRole('row').filter({ hasText: MODEL }).first()
  await row.filter({ hasText: /succeeded/i }).waitFor()
  expect(faults).toEqual([])
})

test('a page of the dashboard is served under any address of its own', async () => {
  const answer = await fetch(`${edge.url}/some/page`)
  expect(answer.status).toBe(200)
  expect(answer.headers.get('content-type')).toContain('text/html')
  expect((await fetch(`${edge.url}/v1/nothing`)).status).toBe(404)
})

test('the page comes back by itself after the edge was killed', async () => {
  await agents.stop()
  await edge.kill9()
  edge = await spawnEdge({ state: folder.state, port: edge.port })
  agents = await startAgents(edge.url, await registerProviders(edge.url, 1, 1), 1)
  expect((await chat()).status).toBe('succeeded')
  await shows('Total tasks', '2')
  await shows('Total providers', '2')
})

test('the reference page tries a call with the key that was typed', async () => {
  await page.goto(`${edge.url}/docs`)
  await page.getByLabel('API key').fill(requester.apiKey)
  await page.getByText('/v1/quote', { exact: true }).click()
  const form = page.getByRole('form', { name: 'Try POST /v1/quote' })
  await form.getByRole('button', { name: 'Send' }).click()
  await page.getByText('200 OK', { exact: true }).waitFor()
  const quote = JSON.parse((await page.getByLabel('Body of the answer').textContent()) ?? '')
  expect(quote).toMatchObject({ kind: 'llm.chat', failing: null })
  expect(await form.textContent()).not.toContain(requester.apiKey)
  expect(faults).toEqual([])
})

test('the playground streams a chat with a trial account, and this browser verifies its receipt', async () => {
  const upstream = await startUpstreamProcess(`${folder.state}/upstream.log`)
  const plan = { id: 'parrot', name: HOSTILE, kinds: ['llm.chat' as const], upstream: upstream.url }
  const { program, address } = await startAgent(plan, edge.url, folder.state)
  ends.push(upstream.stop, () => program.stop())

  await page.goto(`${edge.url}/playground`)
  await page.getByRole('button', { name: 'Get a trial account' }).click()
  await page.getByLabel('Model').selectOption(UPSTREAM_MODEL)
  await page.getByLabel('Message').fill(HOSTILE)
  await page.getByLabel('Message').press('Enter')
  const log = page.getByRole('log')
  await log.getByText('Succeeded', { exact: true }).waitFor()
  const said = await log.textContent()
  // What people and providers write is shown as they wrote it.
  expect(said).toContain(`You:${HOSTILE}`)
  expect(said).toContain(HOSTILE)
  expect(said).toMatch(/First token[\d. ]+m?s/)
  expect(await log.getByTitle(address.toLowerCase()).count()).toBe(1)
  await log.getByRole('button', { name: 'Verify the receipt' }).click()
  await log.getByText('This browser checked it by itself').waitFor()
  expect(
    await log
      .getByText(/signed by the provider/)
      .last()
      .textContent(),
  ).toContain(address.toLowerCase())

  await page.getByText('The same as code').click()
  expect(await page.getByText(/^curl /).textContent()).toContain('$DAICN_KEY')
  expect(faults).toEqual([])
})

test('a task has a page of its own, found again among the tasks of its account', async () => {
  await page.getByRole('log').getByRole('link', { name: 'The task' }).click()
  await page.getByText('Accepted and paid').waitFor()
  expect(await page.getByLabel('Text of the output').textContent()).toContain(HOSTILE)
  const id = new URL(page.url()).searchParams.get('id')!

  await page.getByRole('link', { name: 'Tasks', exact: true }).click()
  const rows = page.getByRole('table', { name: 'Your tasks' }).getByRole('rowheader')
  await rows.first().waitFor()
  expect(await rows.getByTitle(id).count()).toBe(1)
  await page.getByLabel('Status').selectOption('failed')
  await page.getByText('No task fits these filters.').waitFor()
  expect(new URL(page.url()).search).toBe('?status=failed')
  // The address alone brings the same list back.
  await page.reload()
  await page.getByText('No task fits these filters.').waitFor()
  await page.getByLabel('Status').selectOption('')
  await rows.getByTitle(id).waitFor()
  expect(faults).toEqual([])
})

test('a provider has a page of its own, with what it did', async () => {
  await page.getByRole('link', { name: 'Providers', exact: true }).click()
  await page.getByRole('link', { name: HOSTILE }).click()
  await page.getByRole('heading', { level: 1, name: HOSTILE }).waitFor()
  await page.getByRole('table', { name: 'Offers' }).getByText(UPSTREAM_MODEL).waitFor()
  const tasks = page.getByRole('table', { name: 'Recent tasks' }).getByRole('row')
  await tasks.filter({ hasText: 'Succeeded' }).waitFor()
  expect(faults).toEqual([])
})
