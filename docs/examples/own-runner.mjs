/**
 * A runner of one's own: embeddings that say how often each letter of the alphabet stands in a text.
 *
 *   node agent.mjs --edge URL --runner text.embed/letters=own-runner.mjs
 *
 * A runner does one kind of work with one model. It gets inputs that were checked, and returns an output of its kind; both are
 * described in the network's API reference. It runs in a process of its own, which the agent starts again if it ends.
 */
const LETTERS = 'abcdefghijklmnopqrstuvwxyz'

export async function createRunner() {
  const run = async ({ texts }, { signal }) => {
    const embeddings = texts.map((text) => {
      signal.throwIfAborted() // the task was cancelled, or the agent is leaving
      const counts = [...LETTERS].map((letter) => text.toLowerCase().split(letter).length - 1)
      const length = Math.hypot(...counts) || 1
      return counts.map((count) => count / length)
    })
    // Kinds that count output tokens are paid by `usage`; this one is paid by its input.
    // `devices` are ids as the agent logs them when it starts, for you to see what each earned; leave them out if you do not know.
    return { output: { embeddings }, usage: { inputTokens: 0, outputTokens: 0 }, devices: ['CPU'] }
  }

  return {
    /** What takes long and is done once, before anything else. */
    load: async () => {},
    /** Real work, to see that it works and how fast: `speed` is in units of the kind a second, here tokens of four bytes. */
    async probe(signal) {
      const text = 'the quick brown fox '.repeat(100)
      const began = performance.now()
      const { output } = await run({ texts: [text] }, { signal })
      if (output.embeddings[0].length !== LETTERS.length) throw new Error('the vector has another length')
      const seconds = Math.max(performance.now() - began, 1) / 1000
      return { speed: text.length / 4 / seconds }
    },
    run,
    close: async () => {},
  }
}
