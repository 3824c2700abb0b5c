/** `daicn models` and `providers`. */
import type { ProviderSummary } from '#core/protocol/network.ts'
import { type Cli, openPublic, print } from './cli.ts'

export async function models(cli: Cli): Promise<void> {
  const all = await (await openPublic(cli)).models({ signal: cli.signal })
  print(cli, all, () => {
    cli.out.table(
      ['kind', 'model', 'providers', 'lowest ask'],
      all.map(({ kind, id, providers, ask }) => [kind, id, String(providers), ask ?? '']),
    )
  })
}

export async function providers(cli: Cli): Promise<void> {
  const { providers } = await (await openPublic(cli)).network({ signal: cli.signal })
  print(cli, providers, () => cli.out.table(PROVIDER_HEAD, providers.map(providerRow)))
}

export const PROVIDER_HEAD = ['address', 'name', 'region', 'busy', 'reputation', 'done', 'models']

export function providerRow(provider: ProviderSummary): string[] {
  const { address, name, active, region, busy, slots, reputation, succeeded, offers } = provider
  return [
    address,
    name,
    region ?? '',
    active ? `${busy} of ${slots}` : 'away',
    reputation.low.toFixed(2),
    succeeded.toLocaleString('en'),
    offers.map(({ model }) => model).join(', '),
  ]
}
