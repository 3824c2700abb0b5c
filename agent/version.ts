export const VERSION = 'daicn-agent/0.1.0'
