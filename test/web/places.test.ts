import { expect, test } from 'vitest'
import type { ProviderSummary } from '#core/protocol/network.ts'
import type { Region } from '#core/protocol/values.ts'
import { placesOf } from '../../web/src/lib/overview/places.ts'

const offer = (model: string): ProviderSummary['offers'][number] => ({
  kind: 'llm.chat',
  model,
  ask: '1',
  speed: 1,
  reputation: { low: 0, mean: 0.5, high: 1 },
})

const providerIn = (region: Region | undefined, active: boolean, ...models: string[]): ProviderSummary => ({
  address: '0x',
  name: '',
  active,
  ...(region && { region }),
  reputation: { low: 0, mean: 0.5, high: 1 },
  slots: 1,
  busy: 0,
  offers: models.map(offer),
  succeeded: 0,
  failed: 0,
  earned: '0',
})

test('providers are counted by class and region, the most first; those that are away are nowhere', () => {
  const places = placesOf([
    providerIn('weur', true, 'rare', 'common'),
    providerIn('apac', true, 'common'),
    providerIn('apac', true, 'common'),
    providerIn(undefined, true, 'common'),
    providerIn('oc', false, 'common'),
  ])
  expect(places.map(({ model, providers }) => [model, providers])).toEqual([
    ['common', 4],
    ['rare', 1],
  ])
  expect(places[0]!.places).toEqual([
    { region: 'apac', providers: 2 },
    { region: 'weur', providers: 1 },
    { region: undefined, providers: 1 },
  ])
})
