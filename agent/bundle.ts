/** True in agent.mjs, where all of the agent is one file and what is large or native is left out. */
export const isBundle = !import.meta.url.endsWith('.ts')
