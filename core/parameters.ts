/** What governance may change, in the order of `Parameters.Name`, with the unit of its values. */
export const PARAMETERS = {
  fee: 'basis points',
  'minimum-stake': 'tokens',
  'dispute-window': 'seconds',
  'verify-period': 'seconds',
  verifiers: 'providers',
  'challenge-bond': 'tokens',
  'wrong-result-slash': 'basis points',
  'verifier-slash': 'tokens',
  'poster-bond': 'tokens',
} as const

export type ParameterName = keyof typeof PARAMETERS
export const PARAMETER_NAMES = Object.keys(PARAMETERS) as ParameterName[]

/** How a vote can be cast, in the governor's order. */
export const SUPPORT = ['against', 'for', 'abstain'] as const
export type Support = (typeof SUPPORT)[number]
