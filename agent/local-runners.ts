/** The runners that ship with the agent, each in its own process. */
import { pathToFileURL } from 'node:url'
import type { Kind } from '#core/protocol/work.ts'
import { isBundle } from './bundle.ts'
import { createChildRunner } from './child-runner.ts'
import { PROCESSOR } from './devices/device.ts'
import type { Log } from './log.ts'
import type { Grants } from './permissions.ts'
import type { Runner } from './runner.ts'
import type { OwnRunner } from './settings.ts'

const LOCAL: { kind: Kind; model: string; file: string; patienceMs: number; grants: Grants }[] = [
  {
    kind: 'text.embed',
    model: 'universal-sentence-encoder',
    file: './runners/text-embed.ts',
    patienceMs: 60_000,
    grants: {},
  },
  {
    kind: 'doc.ocr',
    model: 'tesseract-eng',
    file: './runners/doc-ocr.ts',
    patienceMs: 60_000,
    grants: { threads: true },
  },
  {
    kind: 'image.upscale',
    model: 'esrgan-slim-2x',
    file: './runners/image-upscale.ts',
    patienceMs: 60_000,
    grants: {},
  },
  { kind: 'llm.chat', model: 'daicn-tiny', file: './runners/llama.ts', patienceMs: 30_000, grants: { native: true } },
]

/** How long a runner of the owner's own may show no sign of life. */
const OWN_PATIENCE_MS = 300_000

/** The owner's own runners, each in a process of its own too: what they do is the owner's business. */
export function ownRunners(own: OwnRunner[], log: Log): Runner[] {
  return own.map(({ kind, model, file }) =>
    createChildRunner({
      kind,
      model,
      module: pathToFileURL(file),
      patienceMs: OWN_PATIENCE_MS,
      grants: 'all',
      onCrash: (reason) => log('restart', { kind, model, reason }),
    }),
  )
}

export function localRunners(kinds: Kind[], log: Log): Runner[] {
  const wanted = LOCAL.filter(({ kind }) => kinds.includes(kind))
  if (isBundle) {
    for (const { kind, model } of wanted)
      log('missing', { kind, model, why: 'it is not part of agent.mjs', mend: 'npx daicn-agent has it' })
    return []
  }
  return wanted.map(({ kind, model, file, patienceMs, grants }) =>
    createChildRunner({
      kind,
      model,
      devices: [PROCESSOR],
      module: new URL(file, import.meta.url),
      patienceMs,
      grants,
      onCrash: (reason) => log('restart', { kind, model, reason }),
    }),
  )
}
