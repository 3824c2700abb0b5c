/** Small WASI programs, put together byte by byte: each does one thing that it should not, and exits with what it was told. */

const I32 = 0x7f
const I64 = 0x7e
/** The calls that they use: parameters, and whether there is a result. */
const CALLS = {
  fd_write: [[I32, I32, I32, I32], [I32]],
  path_create_directory: [[I32, I32, I32], [I32]],
  path_symlink: [[I32, I32, I32, I32, I32], [I32]],
  path_open: [[I32, I32, I32, I32, I32, I64, I64, I32, I32], [I32]],
  proc_exit: [[I32], []],
} as const
const NAMES = Object.keys(CALLS) as (keyof typeof CALLS)[]
/** The descriptor of the folder that a program is given. */
const FOLDER = 3

const op = {
  unreachable: [0x00],
  loop: (...body: number[][]) => [0x03, 0x40, ...body.flat(), 0x0b],
  /** Does the body if the value before it is not zero. */
  when: (...body: number[][]) => [0x04, 0x40, ...body.flat(), 0x0b],
  again: (depth: number) => [0x0c, depth],
  i32: (value: number) => [0x41, ...signed(value)],
  i64: (value: number) => [0x42, ...signed(value)],
  call: (name: keyof typeof CALLS) => [0x10, NAMES.indexOf(name)],
  grow: [0x40, 0x00],
  pages: [0x3f, 0x00],
  drop: [0x1a],
  equal: [0x46],
  differ: [0x47],
  above: [0x4b],
  set: (local: number) => [0x21, local],
  tee: (local: number) => [0x22, local],
  get: (local: number) => [0x20, local],
  add: [0x6a],
  below: [0x49],
}

/** A program with one local, an i32, and `text` at the start of its memory. */
function program(text: string, ...body: number[][]): Uint8Array {
  const types = [...NAMES.map((name) => [0x60, ...list(CALLS[name][0]), ...list(CALLS[name][1])]), [0x60, 0, 0]]
  const imports = NAMES.map((name, i) => [...bytes('wasi_snapshot_preview1'), ...bytes(name), 0x00, i])
  const code = [1, 1, I32, ...body.flat(), 0x0b]
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, list(types).flat()),
    ...section(2, list(imports).flat()),
    ...section(3, [1, NAMES.length]),
    ...section(5, [1, 0x00, 1]),
    ...section(7, [2, ...bytes('memory'), 0x02, 0, ...bytes('_start'), 0x00, NAMES.length]),
    ...section(10, [1, ...unsigned(code.length), ...code]),
    ...section(11, [1, 0x00, ...op.i32(0), 0x0b, ...bytes(text)]),
  ])
}

const section = (id: number, body: number[]) => [id, ...unsigned(body.length), ...body]
const list = <T>(items: readonly T[]): (number | T)[] => [...unsigned(items.length), ...items]
const bytes = (text: string) => [...unsigned(Buffer.byteLength(text)), ...Buffer.from(text)]

function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)]
}

function signed(value: number): number[] {
  const low = value & 0x7f
  const rest = value >> 7
  const isLast = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0)
  return isLast ? [low] : [low | 0x80, ...signed(rest)]
}

const exit = op.call('proc_exit')

export const ENDLESS = program('', op.loop(op.again(0)))
export const BROKEN = program('', op.unreachable)

/** Takes memory until it gets no more; exits with 1 if that is more than `pages` of 64 KiB. */
export const hungry = (pages: number) =>
  program(
    '',
    op.loop(op.i32(1024), op.grow, op.i32(-1), op.differ, op.when(op.again(1))),
    ...[op.pages, op.i32(pages), op.above, exit],
  )

/** Writes some 32 KB at a time until it may not. */
export const FLOOD = program(
  // Where the bytes are, and how many: 0x7f00.
  '\u0008\0\0\0\0\u007f\0\0',
  op.loop(
    ...[op.i32(1), op.i32(0), op.i32(1), op.i32(32_768), op.call('fd_write'), op.tee(0)],
    ...[op.i32(0), op.equal, op.when(op.again(1))],
  ),
  op.get(0),
  exit,
)

/** Makes a folder ten thousand times, most of them in vain; exits with 51 (no space) once it is told so. */
export const MAKER = program(
  'folder',
  op.loop(
    ...[op.i32(FOLDER), op.i32(0), op.i32(6), op.call('path_create_directory'), op.i32(51), op.equal],
    op.when(op.i32(51), exit),
    ...[op.get(0), op.i32(1), op.add, op.tee(0), op.i32(10_000), op.below, op.when(op.again(1))],
  ),
)

/** Opens a path from its folder; exits with the error's number, 0 if there was none. */
export const opener = (path: string) =>
  program(
    path,
    ...[op.i32(FOLDER), op.i32(1), op.i32(0), op.i32(Buffer.byteLength(path)), op.i32(0)],
    ...[op.i64(2), op.i64(2), op.i32(0), op.i32(1024), op.call('path_open'), exit],
  )

/** Links `link` in its folder to a path; exits with the error's number. */
export const linker = (path: string) =>
  program(
    `${path}link`,
    ...[op.i32(0), op.i32(path.length), op.i32(FOLDER), op.i32(path.length), op.i32(4)],
    ...[op.call('path_symlink'), exit],
  )
