/** The parameters of governance in words, and their values as people write them. Pure. */
import { formatAmount as decimal, isAmount, parseAmount } from '#core/money.ts'
import { PARAMETERS, type ParameterName } from '#core/parameters.ts'
import { formatAmount, SYMBOL } from '../format/amount.ts'
import { formatDuration } from '../format/duration.ts'

export const MEANINGS: Record<ParameterName, { label: string; meaning: string }> = {
  fee: { label: 'Fee', meaning: 'what the network takes of what providers earn' },
  'minimum-stake': { label: 'Minimum stake', meaning: 'what a provider stakes to judge and be registered as active' },
  'dispute-window': { label: 'Dispute window', meaning: 'how long a result can be disputed' },
  'verify-period': { label: 'Verify period', meaning: 'how long verifiers have to commit, and again to reveal' },
  verifiers: { label: 'Verifiers', meaning: 'how many judge a disputed result' },
  'challenge-bond': { label: 'Challenge bond', meaning: 'what a challenger puts up' },
  'wrong-result-slash': { label: 'Slash for a wrong result', meaning: 'of the stake of its provider' },
  'verifier-slash': { label: 'Slash of a verifier', meaning: 'for one that was absent or alone in its verdict' },
  'poster-bond': { label: "Poster's bond", meaning: 'what a poster of receipts puts up' },
}

/** A value in its unit, short: '1 %', '1,000 DAICN', '24 h', '5'. */
export function formatValue(name: ParameterName, value: bigint): string {
  switch (PARAMETERS[name]) {
    case 'basis points':
      return `${Number(value) / 100} %`
    case 'tokens':
      return `${formatAmount(decimal(value))} ${SYMBOL}`
    case 'seconds':
      return formatDuration(Number(value) * 1000)
    case 'providers':
      return String(value)
  }
}

/** What is typed for a value: per cents and hours are easier to write than what the contract keeps. */
export const typedUnit = (name: ParameterName): string =>
  ({ 'basis points': '%', tokens: SYMBOL, seconds: 'hours', providers: 'providers' })[PARAMETERS[name]]

/** What was typed as the contract keeps it, or null for what is no value of the parameter. */
export function parseValue(name: ParameterName, text: string): bigint | null {
  const typed = text.trim()
  if (!isAmount(typed)) return null
  const unit = PARAMETERS[name]
  if (unit === 'tokens') return parseAmount(typed)
  const parts = { 'basis points': 100n, seconds: 3600n, providers: 1n }[unit]
  const scaled = parseAmount(typed) * parts
  return scaled % ONE === 0n ? scaled / ONE : null
}

const ONE = parseAmount('1')
