/** The runners of the images that the owner allows: each for its kinds of work, and all for the same cores, memory and cards. */
import { availableParallelism, totalmem } from 'node:os'
import { CONTAINER_LIMITS } from '#core/program-limits.ts'
import { isContained, type Kind } from '#core/protocol/work.ts'
import type { FoundDevice } from './devices/device.ts'
import type { Runner } from './runner.ts'
import { createContainerRunner, createPlaces } from './runners/container-run.ts'
import type { AllowedImage } from './settings.ts'

/** Of the machine's memory, what containers may take together. */
const SHARE = 0.75

export function containerRunners(kinds: Kind[], images: AllowedImage[], devices: FoundDevice[]): Runner[] {
  const { memoryBytes, cores } = CONTAINER_LIMITS['container.run']
  // A core is left for the rest.
  const most = Math.min((availableParallelism() - 1) / cores, (totalmem() * SHARE) / memoryBytes)
  const places = {
    'container.run': new Array<undefined>(Math.max(Math.floor(most), 1)).fill(undefined),
    'gpu.exec': devices.filter(({ kind }) => kind === 'nvidia').map(({ id }) => id),
  }
  return kinds.filter(isContained).flatMap((kind) => {
    const here = createPlaces<string | undefined>(places[kind])
    const count = places[kind].length
    return count === 0 ? [] : images.map((image) => createContainerRunner(kind, image, here, count))
  })
}
