/** What this machine computes with: each card by itself, and the processor, each with the memory that is free now. */
import { execFile } from 'node:child_process'
import { availableParallelism, cpus, freemem, totalmem } from 'node:os'
import type { Device } from '#core/protocol/provider.ts'
import { LIMITS } from '#core/protocol/values.ts'
import { findAmd } from './amd.ts'
import { findApple } from './apple.ts'
import { type Ask, type FoundDevice, PROCESSOR } from './device.ts'
import { findNvidia } from './nvidia.ts'

/** nvidia-smi may take seconds to wake a card. */
const TOOL_MS = 10_000

export async function findDevices(
  ask: Ask = askTool,
  platform: NodeJS.Platform = process.platform,
): Promise<FoundDevice[]> {
  const memory = { total: totalmem(), free: freeMemory() }
  const cards = platform === 'darwin' ? [findApple(ask, memory)] : [findNvidia(ask), findAmd(ask)]
  const processor: FoundDevice = {
    id: PROCESSOR,
    kind: 'cpu',
    name: `${cpus()[0]?.model.trim() || process.arch}, ${availableParallelism()} threads`.slice(0, 120),
    memoryBytes: memory.total,
    freeBytes: memory.free,
  }
  return [...(await Promise.all(cards)).flat(), processor]
}

/** As they are registered. */
export const advertised = (devices: FoundDevice[]): Device[] =>
  devices.slice(0, LIMITS.devices).map(({ id, kind, name, memoryBytes, freeBytes }) => ({
    id: id.slice(0, 100),
    kind,
    name: name.slice(0, 120),
    memoryBytes,
    ...(freeBytes === undefined ? {} : { freeBytes }),
  }))

/** Node 20 has no `availableMemory` before 20.13; caches that would make room count as free there. */
const freeMemory = (): number => process.availableMemory?.() ?? freemem()

export const askTool: Ask = (program, args) =>
  new Promise((resolve) => {
    execFile(program, args, { timeout: TOOL_MS, encoding: 'utf8' }, (error, output) =>
      resolve(error ? undefined : output),
    )
  })
