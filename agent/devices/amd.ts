/** AMD's cards by rocm-smi. Without a card it succeeds and prints nothing, so only what parses counts. */
import type { Ask, FoundDevice } from './device.ts'

export async function findAmd(ask: Ask): Promise<FoundDevice[]> {
  const flags = ['--showuniqueid', '--showproductname', '--showmeminfo', 'vram', '--showdriverversion', '--json']
  return parseRocm((await ask('rocm-smi', flags)) ?? '')
}

/** The JSON of rocm-smi: `card0`, `card1`, ... and `system`, each with its properties by name, numbers as text. */
export function parseRocm(json: string): FoundDevice[] {
  const driver = sectionsIn(json).system?.['Driver version']
  return cardsIn(json).flatMap(([card, properties]) => {
    const memoryBytes = Number(properties['VRAM Total Memory (B)'] ?? Number.NaN)
    if (!Number.isFinite(memoryBytes)) return []
    const used = Number(properties['VRAM Total Used Memory (B)'] ?? Number.NaN)
    const unique = properties['Unique ID']
    return [
      {
        id: unique?.startsWith('0x') ? `AMD-${unique.slice(2)}` : `AMD-${card}`,
        kind: 'amd' as const,
        name: (properties['Card Series'] ?? properties['Card series'] ?? properties['Card Model'] ?? 'AMD').trim(),
        memoryBytes,
        ...(Number.isFinite(used) ? { freeBytes: Math.max(memoryBytes - used, 0) } : {}),
        ...(driver ? { driver } : {}),
      },
    ]
  })
}

/** Each card of rocm-smi's JSON with its properties. */
export const cardsIn = (json: string): [string, Record<string, string>][] =>
  Object.entries(sectionsIn(json)).filter(([name]) => /^card\d+$/.test(name))

function sectionsIn(json: string): Record<string, Record<string, string>> {
  try {
    // Warnings may stand before it.
    return JSON.parse(json.slice(json.indexOf('{')))
  } catch {
    return {}
  }
}
