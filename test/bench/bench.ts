/** What `npm run bench` runs: files of this folder that export `bench`. */

export type Figures = Record<string, number>

export type Bar = { figure: string; op: '>=' | '<='; limit: number; ok: boolean }

/** A bar before it is held against the figures. */
export type Limit = Omit<Bar, 'ok'>

export type Bench = {
  name: string
  run(options: Options): Promise<{ figures: Figures; bars: Bar[] }>
}

export type Options = {
  /** For a look: fewer rounds, and figures that need long runs are left out. */
  quick: boolean
  /** A file to measure with instead of the bench's own, for a bench that has any. */
  data: string | undefined
  /** The folder of the peers, when they are to run beside us. */
  peers: string | undefined
  log: (line: string) => void
}

/** Holds the limits against the figures there are; a figure that could not be taken misses its bar. */
export function judge(figures: Figures, limits: Limit[]): Bar[] {
  return limits
    .filter(({ figure }) => figure in figures)
    .map((limit) => {
      const value = figures[limit.figure]!
      return { ...limit, ok: limit.op === '>=' ? value >= limit.limit : value <= limit.limit }
    })
}
