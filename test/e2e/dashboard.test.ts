import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launchBrowser } from '../../scripts/browser.ts'
import { openRequester, type Requester } from '../../scripts/requester.ts'
import { type Agents, MODEL, registerProviders, startAgents } from '../bench/agents.ts'
import { spawnEdge, type TestEdge, temporaryState } from '../support/edge.ts'

let folder: Awaited<ReturnType<typeof temporaryState>>
let edge: TestEdge
let agents: Agents
let requester: Requester
let browser: Browser
let page: Page
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
  page.on('requestfailed', (request) => faults.push(`${request.url()} ${request.failure()?.errorText}`))
})

afterAll(async () => {
  await browser?.close()
  await agents?.stop().catch(() => {})
  await edge?.stop()
  await folder?.remove()
})

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
