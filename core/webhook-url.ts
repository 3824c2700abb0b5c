/**
 * Where webhooks may be sent: to public addresses by TLS, so that nobody reaches through the edge what only the edge can reach.
 * It looks at the address as the URL standard writes it, which knows all the spellings of a number; what a name resolves to is
 * not known here (docs/decisions/0013-webhooks-by-registered-endpoint.md).
 */
import * as z from 'zod'

const Canonical = z.url({ protocol: /^https?$/, normalize: true }).max(2048)

/** First address and prefix length of IPv4 networks that are not of the public internet (IANA's special-purpose registry). */
const SPECIAL_IPV4: [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
]

/** The same within 2000::/3, outside of which nothing is public; 2002::/16 and 2001::/32 carry IPv4 addresses inside. */
const SPECIAL_IPV6: [string, number][] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
]

/** Names that mean something only within a network, and those that are reserved (RFC 2606, 6761, 6762, 8375, 9476). */
const LOCAL_NAMES =
  /(^|\.)(localhost|localdomain|local|internal|intranet|private|corp|home|lan|arpa|test|invalid|example|onion|alt)$/

/**
 * @param isDevelopment whether addresses of this machine and its network, and plain HTTP, are allowed
 * @returns the canonical URL, or what is wrong with it
 */
export function checkWebhookUrl(text: string, isDevelopment: boolean): { url: string } | { fault: string } {
  const parsed = Canonical.safeParse(text)
  if (!parsed.success) return { fault: 'it is no http or https URL of at most 2,048 characters' }
  const url = parsed.data
  const [, scheme, authority] = /^(https?):\/\/([^/?#]*)/.exec(url)!
  if (authority!.includes('@')) return { fault: 'it carries a user name or a password' }
  if (isDevelopment) return { url }
  if (scheme !== 'https') return { fault: 'it is not https' }
  const fault = hostFault(authority!.replace(/:\d+$/, '').replace(/\.+$/, ''))
  return fault === null ? { url } : { fault }
}

/** @param host as the URL standard writes it: lower case, an IPv4 address in four numbers, an IPv6 address in brackets */
function hostFault(host: string): string | null {
  if (host.startsWith('[')) {
    const address = ipv6(host.slice(1, -1))
    const isPublic = inNetwork(address, ipv6('2000::'), 128 - 3)
    const isSpecial = SPECIAL_IPV6.some(([first, prefix]) => inNetwork(address, ipv6(first), 128 - prefix))
    return isPublic && !isSpecial ? null : 'it is not a public address'
  }
  if (/^\d+\.\d+\.\d+\.\d+$/.test(host)) {
    const isSpecial = SPECIAL_IPV4.some(([first, prefix]) => inNetwork(ipv4(host), ipv4(first), 32 - prefix))
    return isSpecial ? 'it is not a public address' : null
  }
  if (!host.includes('.')) return 'it has no name that is known everywhere'
  return LOCAL_NAMES.test(host) ? 'its name is known only within a network' : null
}

/** @param hostBits how many bits tell apart the addresses within the network */
const inNetwork = (address: bigint, first: bigint, hostBits: number): boolean =>
  address >> BigInt(hostBits) === first >> BigInt(hostBits)

const ipv4 = (text: string): bigint => text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n)

function ipv6(text: string): bigint {
  const [head = '', tail] = text.split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':'))
  const [before, after] = [groups(head), groups(tail ?? '')]
  const zeros = Array<string>(8 - before.length - after.length).fill('0')
  return [...before, ...zeros, ...after].reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n)
}
