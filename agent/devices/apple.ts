/** Apple's own GPU by system_profiler. It computes in the machine's memory. */
import type { Ask, FoundDevice } from './device.ts'

export type Memory = { total: number; free: number }

export async function findApple(ask: Ask, memory: Memory): Promise<FoundDevice[]> {
  return parseDisplays((await ask('system_profiler', ['SPDisplaysDataType', '-json'])) ?? '', memory)
}

type Display = { sppci_model?: string; spdisplays_vendor?: string; sppci_cores?: string }

/** The JSON of `system_profiler SPDisplaysDataType -json`. */
export function parseDisplays(json: string, { total, free }: Memory): FoundDevice[] {
  let displays: Display[]
  try {
    displays = JSON.parse(json).SPDisplaysDataType ?? []
  } catch {
    return []
  }
  return displays
    .filter(({ spdisplays_vendor, sppci_model }) => /apple/i.test(`${spdisplays_vendor} ${sppci_model}`))
    .map(({ sppci_model = 'Apple', sppci_cores }, i) => ({
      id: `APPLE-${i}`,
      kind: 'apple' as const,
      name: sppci_cores ? `${sppci_model}, ${sppci_cores} GPU cores` : sppci_model,
      memoryBytes: total,
      freeBytes: free,
    }))
}
