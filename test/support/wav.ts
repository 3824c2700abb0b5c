/** Silence as a WAV file: 8,000 samples a second, a byte each. */
export function silence(seconds: number): Buffer {
  const rate = 8000
  const head = Buffer.from('RIFF    WAVEfmt                     data    ')
  head.writeUInt32LE(36 + rate * seconds, 4)
  head.writeUInt32LE(16, 16)
  head.writeUInt16LE(1, 20)
  head.writeUInt16LE(1, 22)
  head.writeUInt32LE(rate, 24)
  head.writeUInt32LE(rate, 28)
  head.writeUInt16LE(1, 32)
  head.writeUInt16LE(8, 34)
  head.writeUInt32LE(rate * seconds, 40)
  return Buffer.concat([head, Buffer.alloc(rate * seconds, 128)])
}
