/** image.upscale on a whole network, by two agents. */
import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readPicture, writePng } from '../../agent/picture.ts'
import { connect } from '../../client/daicn.ts'
import { UPSCALE_PIXELS } from '../../core/upscale.ts'
import { inRoot } from '../../scripts/paths.ts'
import { startAgentProcess } from '../support/agent-process.ts'
import { daicn, type Surroundings } from '../support/command.ts'
import { createWorld, type Member, newRequester, type World } from '../support/fault-world.ts'
import { submit, untilEnded } from '../support/real-work.ts'

let world: World
let alice: Member
let where: Surroundings
let photo: Buffer
beforeAll(async () => {
  world = await createWorld()
  alice = await newRequester(world)
  const cwd = join(world.folder, 'home')
  await mkdir(cwd)
  where = { cwd, env: { XDG_CONFIG_HOME: cwd, DAICN_EDGE: world.url, DAICN_KEY: alice.caller.key } }
  photo = await readFile(inRoot('node_modules/@upscalerjs/default-model/assets/fixture.png'))
  await writeFile(join(cwd, 'photo.png'), photo)
  for (const name of ['north', 'south']) await startAgentProcess(world, name, ['image.upscale'])
}, 60_000)
afterAll(() => world?.end())

const taskOf = (image: Buffer, more = {}) => ({
  kind: 'image.upscale',
  input: { image: image.toString('base64'), mediaType: 'image/png' },
  ...more,
})
const run = (...args: string[]) => daicn(['run', '--kind', 'image.upscale', ...args], where)

test('an image comes back twice as large, paid by its pixels; two providers give the very same bytes', async () => {
  const { id } = await submit(alice, taskOf(photo, { assurance: { level: 'quorum', n: 2, k: 2 } }))
  const view = await untilEnded(alice, id, 30_000)
  expect(view).toMatchObject({
    status: 'succeeded',
    model: 'esrgan-slim-2x',
    units: 2 * 128 * 128,
    output: { width: 256, height: 256 },
    assurance: { results: 2, agreed: 2 },
  })
  expect(new Set(view.attempts.map(({ provider }) => provider)).size).toBe(2)
  expect(Number(view.price)).toBeGreaterThan(0)
})

test('from the command line it goes into a file, also the largest image of what compresses least', async () => {
  expect(await run('photo.png', '--out', 'large.png')).toMatchObject({
    code: 0,
    stdout: 'A PNG of 256 x 256 pixels.\n',
  })
  const large = readPicture(await readFile(join(where.cwd, 'large.png')), 'image/png')
  expect(large).toMatchObject({ width: 256, height: 256, channels: 3 })

  const noise = createHash('shake256', { outputLength: UPSCALE_PIXELS * 4 }).digest()
  const data = noise.map((value) => (value < 128 ? 0 : 255))
  await writeFile(join(where.cwd, 'noise.png'), writePng({ width: 160, height: 128, channels: 4, data }))
  expect(await run('noise.png', '--out', 'noise-large.png')).toMatchObject({ code: 0 })
  const noiseLarge = await readFile(join(where.cwd, 'noise-large.png'))
  expect(readPicture(noiseLarge, 'image/png')).toMatchObject({ width: 320, height: 256, channels: 4 })
  expect(noiseLarge.length).toBeGreaterThan(250_000)
})

test('what cannot be upscaled is told clearly and costs nothing', async () => {
  const free = async () => (await connect(alice.caller).account()).free
  const before = await free()
  expect(await run('photo.png')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('no file to write the image to'),
  })
  const large = writePng({ width: 300, height: 300, channels: 3, data: new Uint8Array(270_000) })
  await writeFile(join(where.cwd, 'too-large.png'), large)
  const refused = await run('too-large.png', '--out', 'never.png')
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('at most 20480 pixels') })
  const jpeg = { ...taskOf(photo), input: { image: photo.toString('base64'), mediaType: 'image/jpeg' } }
  await expect(submit(alice, jpeg)).rejects.toMatchObject({ code: 'invalid_request', pointer: '/input/mediaType' })

  const { id } = await submit(alice, taskOf(photo.subarray(0, 4000), { maxAttempts: 1 }))
  expect(await untilEnded(alice, id, 30_000)).toMatchObject({
    status: 'failed',
    price: '0',
    error: { code: 'unreadable_image', message: expect.stringContaining('unexpected end of file') },
  })
  expect(await free()).toBe(before)
})
