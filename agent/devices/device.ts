import type { Device } from '#core/protocol/provider.ts'

/** A device with what only its owner is told of it. */
export type FoundDevice = Device & { driver?: string | undefined }

/** What a tool prints, or undefined where it is missing, fails, or takes too long. */
export type Ask = (program: string, args: string[]) => Promise<string | undefined>

/** The processor's id, which no card has. */
export const PROCESSOR = 'CPU'

export const MIB = 1024 ** 2

/** A count of MiB as a tool writes it; undefined for '[N/A]' and the like. */
export function mebibytes(text: string | undefined): number | undefined {
  const value = Number(text?.trim() || Number.NaN)
  return Number.isFinite(value) && value >= 0 ? Math.round(value * MIB) : undefined
}
