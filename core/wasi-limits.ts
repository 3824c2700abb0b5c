/** Apart from the schemas of core/wasi.ts, so that pricing, which browsers load, comes without them. */

/** What a task may ask for, and what each of its providers must have. */
export const WASI_LIMITS = {
  seconds: 300,
  defaultSeconds: 10,
  files: 16,
  /** Bytes of the module and all files in. */
  inputBytes: 256 * 1024 * 1024,
  /** Bytes of the folder that the program works in. */
  folderBytes: 64 * 1024 * 1024,
  /** Bytes of the program's memory. */
  memoryBytes: 512 * 1024 * 1024,
  /** Bytes of all that comes back, before it is base64. */
  outputBytes: 512 * 1024,
} as const

/** How long a program may run. */
export const wasiSeconds = ({ seconds }: { seconds?: number | undefined }): number =>
  seconds ?? WASI_LIMITS.defaultSeconds
