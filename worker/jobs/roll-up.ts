import { CELLS, type Network } from '../env.ts'

/** Every minute: each market's last minutes go into the history. */
export async function rollUp(network: Network): Promise<void> {
  await Promise.all(CELLS.map((cell) => network.market(cell).rollUp()))
}
