/**
 * Keeps the space for young objects at its first size, for V8 lets it grow to 16 MB at the start's work and an agent that then idles
 * keeps it. What is collected more often is small. A V8 that does not know a flag passes over it. Imported before anything else.
 */
import { setFlagsFromString } from 'node:v8'
import { deferHotCode } from './hot-code.ts'

setFlagsFromString('--semi-space-growth-factor=1')
deferHotCode()
