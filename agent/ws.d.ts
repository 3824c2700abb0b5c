/** The package comes without types; it is used where Node has no WebSocket, and as that one is. */
declare module 'ws' {
  export const WebSocket: typeof globalThis.WebSocket
}
