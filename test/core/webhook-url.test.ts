import { BlockList } from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkWebhookUrl } from '#core/webhook-url.ts'
import { holds } from '../support/property.ts'

const isAllowed = (url: string) => 'url' in checkWebhookUrl(url, false)

/* Another account of what is not public, by Node: the registries of special-purpose addresses, RFC 6890 and its updates. */
const special = new BlockList()
for (const [net, prefix] of [
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
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const) {
  special.addSubnet(net, prefix, 'ipv4')
}

const dotted = (address: number) => [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.')

/** Any address, and often one of a network that must not be reached. */
const ipv4 = fc.oneof(
  fc.nat(0xffffffff),
  fc
    .tuple(fc.constantFrom(0, 10, 100, 127, 169, 172, 192, 198, 203, 224, 255), fc.nat(0xffffff))
    .map(([first, rest]) => first * 2 ** 24 + rest),
  fc.constantFrom(0xa9fea9fe, 0x7f000001, 0xc0a80001, 0xac100001, 0xac1fffff, 0xac200000, 0x64400000, 0, 0xffffffff),
)

/** The spellings that programs take for the same address. */
const spelled: ((address: number) => string)[] = [
  dotted,
  (address) => `${dotted(address)}.`,
  (address) => String(address),
  (address) => `0x${address.toString(16)}`,
  (address) => `0X${address.toString(16).toUpperCase()}.`,
  (address) => `0${address.toString(8)}`,
  (address) => `000${address.toString(8)}`,
  (address) => dotted(address).replace(/\d+/g, (part) => `0x${Number(part).toString(16)}`),
  (address) => dotted(address).replace(/\d+/g, (part) => `0${Number(part).toString(8)}`),
  (address) => `${address >>> 24}.${address & 0xffffff}`,
  (address) => `${address >>> 24}.${(address >>> 16) & 255}.${address & 0xffff}`,
  (address) => dotted(address).replace(/\d/g, (digit) => `%3${digit}`),
  (address) => dotted(address).replace(/\d/g, (digit) => String.fromCharCode(0xff10 + Number(digit))),
  (address) => dotted(address).replaceAll('.', '。'),
]

test('an IPv4 address is judged alike in all its spellings: only public ones are allowed', () => {
  const around = fc.record({
    spell: fc.constantFrom(...spelled),
    port: fc.constantFrom('', ':443', ':8443'),
    path: fc.constantFrom('', '/', '/hook?x=1#y'),
  })
  holds(
    fc.property(ipv4, around, (address, { spell, port, path }) => {
      expect(isAllowed(`https://${spell(address)}${port}${path}`)).toBe(!special.check(dotted(address)))
    }),
    2000,
  )
})

const hex = (...groups: number[]) => groups.map((group) => group.toString(16)).join(':')

test('an IPv6 address that carries an IPv4 address is refused, whatever that is', () => {
  const carried: ((high: number, low: number) => string)[] = [
    (high, low) => `::ffff:${hex(high, low)}`,
    (high, low) => `::ffff:${dotted(high * 65_536 + low)}`,
    (high, low) => `0:0:0:0:0:FFFF:${hex(high, low)}`,
    (high, low) => `::${hex(high, low)}`,
    (high, low) => `::ffff:0:${hex(high, low)}`,
    (high, low) => `64:ff9b::${hex(high, low)}`,
    (high, low) => `64:ff9b:1::${hex(high, low)}`,
    (high, low) => `2002:${hex(high, low)}::`,
    (high, low) => `2001:0:1:2:3:4:${hex(high, low)}`,
  ]
  holds(
    fc.property(ipv4, fc.constantFrom(...carried), (address, carry) => {
      expect(isAllowed(`https://[${carry(address >>> 16, address & 0xffff)}]/`)).toBe(false)
    }),
    500,
  )
})

const group = fc.nat(0xffff)

test('of IPv6 only global unicast addresses are allowed', () => {
  holds(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const [first, second] = groups as [number, number]
      const isGlobal = first >= 0x2000 && first <= 0x3fff
      const isSpecial =
        (first === 0x2001 && (second < 0x200 || second === 0xdb8)) ||
        first === 0x2002 ||
        (first === 0x3fff && second < 0x1000)
      expect(isAllowed(`https://[${hex(...groups)}]:8443/x`)).toBe(isGlobal && !isSpecial)
    }),
    500,
  )
  for (const address of ['2606:4700:4700::1111', '2a00:1450:4001::200e', '2001:4860:4860::8888']) {
    expect([address, isAllowed(`https://[${address}]/`)]).toEqual([address, true])
  }
  for (const address of [
    '::',
    '::1',
    'fe80::1',
    'fec0::1',
    'fc00::1',
    'fd00:ec2::254',
    'ff02::1',
    '100::1',
    '2001:db8::1',
  ]) {
    expect([address, isAllowed(`https://[${address}]/`)]).toEqual([address, false])
  }
})

const label = fc.stringMatching(/^[a-z]([a-z0-9-]{0,10}[a-z0-9])?$/)

test('names of a network within are refused, in any case and however many dots end them', () => {
  const local = fc.constantFrom(
    'localhost',
    'local',
    'internal',
    'lan',
    'home.arpa',
    'test',
    'corp',
    'svc.cluster.local',
  )
  const shape = fc.record({ dots: fc.constantFrom('', '.', '..'), upper: fc.boolean() })
  holds(
    fc.property(fc.array(label, { maxLength: 3 }), local, shape, (labels, suffix, { dots, upper }) => {
      const name = [...labels, suffix].join('.')
      expect(isAllowed(`https://${upper ? name.toUpperCase() : name}${dots}/hook`)).toBe(false)
    }),
  )
  holds(
    fc.property(label, (name) => {
      expect(isAllowed(`https://${name}/`)).toBe(false)
    }),
  )
})

test('a name of the public internet is allowed', () => {
  holds(
    fc.property(label, fc.constantFrom('com', 'dev', 'co.uk', 'xn--p1ai'), (name, suffix) => {
      fc.pre(!name.includes('--'))
      expect(isAllowed(`https://${name}.${suffix}:8443/hook`)).toBe(true)
    }),
  )
  expect(checkWebhookUrl(' HTTPS://Hooks.Example.COM:443/a b ', false)).toEqual({
    url: 'https://hooks.example.com/a%20b',
  })
  for (const name of ['notlocalhost.com', 'local.com', 'example.com', 'internal.dev']) {
    expect([name, isAllowed(`https://${name}/`)]).toEqual([name, true])
  }
})

test.each([
  'http://hooks.example.com/',
  'ftp://hooks.example.com/',
  'file:///etc/passwd',
  'javascript:alert(1)',
  'data:text/plain,x',
  'ws://hooks.example.com/',
  '//hooks.example.com/',
  'hooks.example.com',
  'https://',
  'https:///',
  'https://user@hooks.example.com/',
  'https://user:password@hooks.example.com/',
  'https://hooks.example.com@127.0.0.1/',
  'https://127.0.0.1\\@hooks.example.com/',
  'https://127.0.0.1#@hooks.example.com/',
  'https://[::1%25eth0]/',
  'https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/',
  'https://127.0.0.1\t.',
  'https://1\n27.0.0.1/',
  '',
])('%j is refused', (url) => {
  expect(isAllowed(url)).toBe(false)
})

test('whatever it is given it answers, and what it allows is what a program would call', () => {
  const pieces = fc.constantFrom(
    'https:',
    '//',
    '/',
    '\\',
    '@',
    ':',
    '[',
    ']',
    '.',
    '%',
    '127.0.0.1',
    '::1',
    '\t',
    '1',
    'a.com',
    '?',
    '#',
  )
  holds(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.webUrl(),
        fc.array(pieces).map((all) => `https://${all.join('')}`),
      ),
      (text) => {
        const checked = checkWebhookUrl(text, false)
        if ('fault' in checked) return
        const url = new URL(checked.url)
        expect([url.href, url.protocol, url.username]).toEqual([checked.url, 'https:', ''])
        expect(checkWebhookUrl(checked.url, false)).toEqual(checked)
      },
    ),
    500,
  )
})

test('a URL of more than 2,048 characters is refused', () => {
  const path = 'x'.repeat(2048 - 'https://hooks.example.com/'.length)
  expect(isAllowed(`https://hooks.example.com/${path}`)).toBe(true)
  expect(isAllowed(`https://hooks.example.com/${path}x`)).toBe(false)
})

test('a development network takes addresses of its machine, but no other scheme and no password', () => {
  const isAllowedThere = (url: string) => 'url' in checkWebhookUrl(url, true)
  expect(['http://127.0.0.1:8080/', 'http://localhost/', 'https://[::1]/'].map(isAllowedThere)).toEqual([
    true,
    true,
    true,
  ])
  expect(['ftp://127.0.0.1/', 'http://a:b@localhost/', 'x'].map(isAllowedThere)).toEqual([false, false, false])
})
