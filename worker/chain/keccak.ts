import { keccak256 } from 'viem'

/** Hex of the Keccak-256 of bytes in hex, both without a prefix. */
export const keccak = (hex: string): string => keccak256(`0x${hex}`).slice(2)
