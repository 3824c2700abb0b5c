/** NVIDIA's cards by nvidia-smi: each by its uuid, and the parts of one that is divided (MIG) each by theirs. */
import { type Ask, type FoundDevice, mebibytes } from './device.ts'

export async function findNvidia(ask: Ask): Promise<FoundDevice[]> {
  const rows = await ask('nvidia-smi', [
    '--query-gpu=uuid,name,memory.total,memory.free,driver_version,mig.mode.current',
    '--format=csv,noheader,nounits',
  ])
  if (rows === undefined) return []
  const cards = parseCards(rows)
  if (!cards.some(({ isDivided }) => isDivided)) return cards.map(({ device }) => device)
  const parts = parseParts((await ask('nvidia-smi', ['-L'])) ?? '')
  // A divided card computes only by its parts.
  return cards.flatMap(({ device, isDivided }) =>
    isDivided ? (parts.get(device.id) ?? []).map((part) => ({ ...part, driver: device.driver })) : [device],
  )
}

/** Rows of `--query-gpu=uuid,name,memory.total,memory.free,driver_version,mig.mode.current`; memory in MiB. */
export function parseCards(csv: string): { device: FoundDevice; isDivided: boolean }[] {
  return csv.split('\n').flatMap((line) => {
    const [uuid = '', name = '', total, free, driver, mig] = line.split(',').map((field) => field.trim())
    const memoryBytes = mebibytes(total)
    if (!uuid.startsWith('GPU-') || memoryBytes === undefined) return []
    const device = { id: uuid, kind: 'nvidia', name, memoryBytes, freeBytes: mebibytes(free), driver } as const
    return [{ device: withoutUndefined(device), isDivided: mig === 'Enabled' }]
  })
}

/**
 * The parts of divided cards, by the card's uuid, from `nvidia-smi -L`. A part's memory is in the name of its profile; what of it
 * is free, no query tells.
 */
export function parseParts(list: string): Map<string, FoundDevice[]> {
  const parts = new Map<string, FoundDevice[]>()
  let card: { uuid: string; name: string } | undefined
  for (const line of list.split('\n')) {
    const [, name, uuid] = /^GPU \d+: (.+) \(UUID: (GPU-[^)]+)\)/.exec(line) ?? []
    if (uuid) card = { uuid, name: name! }
    const [, profile, part] = /^\s+MIG (\S+)\s+Device\s+\d+: \(UUID: (MIG-[^)]+)\)/.exec(line) ?? []
    const gib = /\.(\d+)gb/.exec(profile ?? '')?.[1]
    if (!card || !part || !gib) continue
    const device = {
      id: part,
      kind: 'nvidia',
      name: `${card.name} ${profile}`,
      memoryBytes: Number(gib) * 1024 ** 3,
    } as const
    parts.set(card.uuid, [...(parts.get(card.uuid) ?? []), device])
  }
  return parts
}

/** The cards, or parts of divided ones, on which any of these processes computes. */
export async function findUsed(ask: Ask, pids: ReadonlySet<number>): Promise<string[]> {
  const rows = await ask('nvidia-smi', ['--query-compute-apps=pid,gpu_uuid', '--format=csv,noheader'])
  return [...new Set(parseApps(rows ?? '').flatMap(({ pid, device }) => (pids.has(pid) ? [device] : [])))]
}

/** Rows of `--query-compute-apps=pid,gpu_uuid`: a process on several cards has several. */
export const parseApps = (csv: string): { pid: number; device: string }[] =>
  csv.split('\n').flatMap((line) => {
    const [, pid, device] = /^\s*(\d+), ((?:GPU|MIG)-\S+)\s*$/.exec(line) ?? []
    return device === undefined ? [] : [{ pid: Number(pid), device }]
  })

function withoutUndefined<T extends object>(value: { [K in keyof T]: T[K] }): FoundDevice {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as FoundDevice
}
