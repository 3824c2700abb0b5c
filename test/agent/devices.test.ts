import { expect, test } from 'vitest'
import { parseRocm } from '#agent/devices/amd.ts'
import { parseDisplays } from '#agent/devices/apple.ts'
import { advertised, findDevices } from '#agent/devices/devices.ts'
import { parseCards, parseParts } from '#agent/devices/nvidia.ts'

const MIB = 1024 ** 2
const WHOLE = 'GPU-3f2b8a10-6a1c-4c55-9d1e-0c2d7f1a9b01'
const DIVIDED = 'GPU-9c0d1e2f-1111-2222-3333-444455556666'
const PART = 'MIG-0a1b2c3d-aaaa-bbbb-cccc-ddddeeeeffff'
const CSV = `${WHOLE}, NVIDIA H200, 143771, 143154, 580.159.03, Disabled
${DIVIDED}, NVIDIA A100-SXM4-40GB, 40960, 40339, 580.159.03, Enabled
`
const LIST = `GPU 0: NVIDIA H200 (UUID: ${WHOLE})
GPU 1: NVIDIA A100-SXM4-40GB (UUID: ${DIVIDED})
  MIG 3g.20gb     Device  0: (UUID: ${PART})
  MIG 1g.5gb      Device  1: (UUID: MIG-11111111-aaaa-bbbb-cccc-ddddeeeeffff)
`

test("nvidia-smi's rows are cards, with what of their memory is free", () => {
  expect(parseCards(CSV)).toEqual([
    {
      device: {
        id: WHOLE,
        kind: 'nvidia',
        name: 'NVIDIA H200',
        memoryBytes: 143771 * MIB,
        freeBytes: 143154 * MIB,
        driver: '580.159.03',
      },
      isDivided: false,
    },
    expect.objectContaining({ isDivided: true }),
  ])
  // A card that does not tell its memory cannot be offered by it; one that does not tell what is free can.
  expect(parseCards(`${WHOLE}, NVIDIA GB10, [N/A], [N/A], 580.1, [N/A]`)).toEqual([])
  expect(parseCards(`${WHOLE}, NVIDIA T4, 15360, [N/A], 580.1, [N/A]`)[0]!.device).not.toHaveProperty('freeBytes')
  for (const words of ['', 'No devices were found\n', 'NVIDIA-SMI has failed because it could not communicate'])
    expect(parseCards(words)).toEqual([])
})

test('a divided card is its parts, and each part a device by its own uuid', async () => {
  expect(parseParts(LIST).get(DIVIDED)).toHaveLength(2)
  const tool = async (program: string, args: string[]) =>
    program !== 'nvidia-smi' ? undefined : args.includes('-L') ? LIST : CSV
  const devices = await findDevices(tool, 'linux')
  expect(devices.map(({ id, name, memoryBytes }) => [id, name, memoryBytes])).toEqual([
    [WHOLE, 'NVIDIA H200', 143771 * MIB],
    [PART, 'NVIDIA A100-SXM4-40GB 3g.20gb', 20 * 1024 * MIB],
    [expect.stringMatching(/^MIG-/), 'NVIDIA A100-SXM4-40GB 1g.5gb', 5 * 1024 * MIB],
    ['CPU', expect.stringContaining('threads'), expect.any(Number)],
  ])
  // The driver is for the owner alone.
  expect(advertised(devices)[0]).not.toHaveProperty('driver')
})

test("rocm-smi's JSON is cards; nothing at all, as it prints without a card, is none", () => {
  const json = {
    card0: {
      'Unique ID': '0x9246aa5d1e5b7a3c',
      'VRAM Total Memory (B)': '17163091968',
      'VRAM Total Used Memory (B)': '163091968',
      'Card Series': 'Radeon RX 7800 XT',
      'Card Vendor': 'Advanced Micro Devices, Inc. [AMD/ATI]',
    },
    card1: { 'Unique ID': 'N/A', 'VRAM Total Memory (B)': '536870912', 'VRAM Total Used Memory (B)': '1' },
    system: { 'Driver version': '6.8.5' },
  }
  expect(parseRocm(`WARNING: AMD GPU device(s) is/are in a low-power state.\n${JSON.stringify(json)}`)).toEqual([
    {
      id: 'AMD-9246aa5d1e5b7a3c',
      kind: 'amd',
      name: 'Radeon RX 7800 XT',
      memoryBytes: 17163091968,
      freeBytes: 17e9,
      driver: '6.8.5',
    },
    expect.objectContaining({ id: 'AMD-card1', name: 'AMD' }),
  ])
  for (const words of ['', 'ERROR: ROCm is not there', '{"card0": {}}']) expect(parseRocm(words)).toEqual([])
})

test("Apple's GPU has the machine's memory; another maker's card beside it is passed over", () => {
  const displays = {
    SPDisplaysDataType: [
      {
        _name: 'Apple M2 Pro',
        sppci_model: 'Apple M2 Pro',
        sppci_cores: '19',
        spdisplays_vendor: 'sppci_vendor_Apple',
      },
      { _name: 'Intel', sppci_model: 'Intel UHD Graphics 630', spdisplays_vendor: 'Intel' },
    ],
  }
  const memory = { total: 32, free: 9 }
  expect(parseDisplays(JSON.stringify(displays), memory)).toEqual([
    { id: 'APPLE-0', kind: 'apple', name: 'Apple M2 Pro, 19 GPU cores', memoryBytes: 32, freeBytes: 9 },
  ])
  expect(parseDisplays('', memory)).toEqual([])
})

test('a machine without any tool is its processor', async () => {
  const devices = await findDevices(async () => undefined, 'linux')
  expect(devices.map(({ id }) => id)).toEqual(['CPU'])
  expect(devices[0]!.freeBytes).toBeGreaterThan(0)
})
