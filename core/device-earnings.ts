/**
 * What each device of a provider has earned, by what its results say of where they were made. What is not known of is what is left
 * of all that the provider earned, so the two always add up.
 */
import type { Provider } from './book.ts'
import { formatAmount } from './money.ts'
import type { Earnings, Register } from './protocol/provider.ts'
import { LIMITS } from './protocol/values.ts'

/** By the device's id, those that earned first before the others. */
export type DeviceEarnings = Map<string, { tasks: number; earned: bigint }>

/** The devices that a result names; undefined unless its provider has registered each of them. */
export function devicesNamed({ devices }: Register, named: readonly string[] | undefined): string[] | undefined {
  if (!named?.every((id) => isAmong(devices, id))) return undefined
  return [...new Set(named)]
}

/** Work on these devices was paid: each has done it, and earns an equal share. */
export function addDeviceEarnings(provider: Provider, devices: readonly string[], earned: bigint): void {
  const [share, rest] = [earned / BigInt(devices.length), earned % BigInt(devices.length)]
  for (const [i, id] of devices.entries()) {
    const known = provider.byDevice.get(id)
    if (!known && !hasRoom(provider)) continue
    const { tasks, earned } = known ?? { tasks: 0, earned: 0n }
    provider.byDevice.set(id, { tasks: tasks + 1, earned: earned + share + (BigInt(i) < rest ? 1n : 0n) })
  }
}

/** Of one that is registered no more it is forgotten what it earned, where there is room for another only then. */
function hasRoom({ byDevice, registration }: Provider): boolean {
  if (byDevice.size < LIMITS.devices) return true
  for (const id of byDevice.keys()) if (!isAmong(registration.devices, id)) return byDevice.delete(id)
  return false
}

export function earningsOf({ registration, byDevice, earned }: Provider): Earnings {
  const registered = new Map(registration.devices?.map((device) => [device.id, device]))
  const known = [...byDevice.values()].reduce((sum, one) => sum + one.earned, 0n)
  const devices = [...new Set([...registered.keys(), ...byDevice.keys()])].map((id) => {
    const { kind = null, name = null } = registered.get(id) ?? {}
    const { tasks, earned } = byDevice.get(id) ?? { tasks: 0, earned: 0n }
    return { id, kind, name, tasks, earned: formatAmount(earned) }
  })
  return { earned: formatAmount(earned), devices, unknown: formatAmount(earned - known) }
}

const isAmong = (devices: Register['devices'] = [], id: string): boolean => devices.some((device) => device.id === id)
