import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openControl, tellAgent } from '#agent/control.ts'

const newState = () => mkdtemp(join(tmpdir(), 'control-'))

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
