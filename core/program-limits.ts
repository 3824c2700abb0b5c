/** Apart from the schemas of core/program.ts, so that pricing, which browsers load, comes without them. */

/** Of a program's task: what it may ask for, and what each of its providers must have. */
export type ProgramLimits = {
  seconds: number
  defaultSeconds: number
  files: number
  /** Bytes of all that goes in. */
  inputBytes: number
  /** Bytes of the folder that the program works in. */
  folderBytes: number
  /** Bytes of the program's memory. */
  memoryBytes: number
  /** Bytes of all that comes back, before it is base64. */
  outputBytes: number
}

const MIB = 1024 * 1024

export const WASI_LIMITS = {
  seconds: 300,
  defaultSeconds: 10,
  files: 16,
  inputBytes: 256 * MIB,
  folderBytes: 64 * MIB,
  memoryBytes: 512 * MIB,
  // In base64, with names, within what a market takes of an output.
  outputBytes: 375 * 1024,
} as const satisfies ProgramLimits

const CONTAINER = { ...WASI_LIMITS, seconds: 3600, folderBytes: 512 * MIB, memoryBytes: 2048 * MIB, cores: 1 } as const

/** Of programs that are in an image. */
export const CONTAINER_LIMITS = {
  'container.run': CONTAINER,
  'gpu.exec': { ...CONTAINER, memoryBytes: 16 * 1024 * MIB, cores: 4 },
} as const satisfies Record<string, ProgramLimits & { cores: number }>

/** How long a program may run; all kinds have the same default. */
export const programSeconds = ({ seconds }: { seconds?: number | undefined }): number =>
  seconds ?? WASI_LIMITS.defaultSeconds
