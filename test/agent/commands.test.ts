import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generatePrivateKey } from 'viem/accounts'
import { expect, test } from 'vitest'
import { examine, verdict } from '#agent/commands/doctor.ts'
import { unitFor } from '#agent/commands/install.ts'
import { openControl, tellAgent } from '#agent/control.ts'
import { startOpenAiServer } from '../support/openai-server.ts'
import { startScriptedEdge } from '../support/scripted-edge.ts'

const newState = () => mkdtemp(join(tmpdir(), 'commands-'))

test('a state folder has one agent, which answers its owner word by word', async () => {
  const state = await newState()
  expect(await tellAgent(state, 'status')).toBeUndefined()
  const answer = async (word: string) => {
    if (word === 'dance') throw new Error('it does not dance')
    return { word }
  }
  expect(await openControl(state, answer)).toBe(true)
  expect(await openControl(state, answer)).toBe(false)
  expect(await tellAgent(state, 'status')).toEqual({ word: 'status' })
  await expect(tellAgent(state, 'dance')).rejects.toThrow('it does not dance')
})

test('the doctor names what is wrong and how to mend it', async () => {
  const edge = await startScriptedEdge()
  const upstream = await startOpenAiServer()
  const state = await newState()
  await writeFile(join(state, 'key'), generatePrivateKey(), { mode: 0o644 })
  const given = { state, edge: [edge.url, 'http://127.0.0.1:9'], upstream: [upstream.url, 'http://127.0.0.1:10'] }
  const checks = await examine(given)
  await Promise.all([edge.close(), upstream.close()])
  const verdicts = (name: string) => checks.filter((check) => check.name === name).map(({ ok }) => ok)
  expect(verdicts('node')).toEqual([true])
  expect(verdicts('key')).toEqual([false])
  expect(verdicts('disk')).toEqual([true])
  expect(verdicts('clock')).toEqual([true])
  expect(verdicts('edge').sort()).toEqual([false, true])
  expect(checks.find(({ found }) => found === `${upstream.url}: m`)?.ok).toBe(true)
  for (const { ok, mend } of checks) if (ok === false) expect(mend).toMatch(/./)
})

test('the doctor ends by whether the agent can work', () => {
  const check = (ok: boolean | null) => ({ name: 'disk', ok, found: '9 GB' })
  expect(verdict([check(true), check(true)])).toBe('Ready: all is as it should be.')
  expect(verdict([check(true), check(null)])).toMatch(/^Ready: the agent works/)
  expect(verdict([check(false), check(null)])).toMatch(/^One thing has to be mended first/)
  expect(verdict([check(false), check(false)])).toMatch(/^2 things have to be mended first/)
})

test('a clock that is off is found by the edge’s own', async () => {
  const edge = await startScriptedEdge({ skewMs: 60_000 })
  const checks = await examine({ state: await newState(), edge: [edge.url] })
  await edge.close()
  expect(checks.find(({ name }) => name === 'clock')).toMatchObject({ ok: false, mend: expect.stringMatching(/clock/) })
})

test('wrong settings are the doctor’s to tell, too', async () => {
  const state = await newState()
  await mkdir(join(state, 'agent.toml'))
  expect(await examine({ state })).toContainEqual(expect.objectContaining({ name: 'settings', ok: false }))
})

test('a unit starts the very same program, whatever is in its path', () => {
  const command = ['/opt/my node/bin/node', '/home/a"b/$x/100%/agent.mjs', 'run', '--state', '/s']
  const { file, text } = unitFor('linux', '/home/a', command)
  expect(file).toBe('/home/a/.config/systemd/user/daicn-agent.service')
  expect(text).toContain('ExecStart="/opt/my node/bin/node" "/home/a\\"b/$$x/100%%/agent.mjs" "run" "--state" "/s"\n')
  const plist = unitFor('darwin', '/Users/a', ['/usr/bin/node', '/Users/a/R&D/agent.mjs'])
  expect(plist.file).toBe('/Users/a/Library/LaunchAgents/network.daicn.agent.plist')
  expect(plist.text).toContain('<string>/Users/a/R&amp;D/agent.mjs</string>')
  expect(() => unitFor('sunos', '/', command)).toThrow('sunos')
})
