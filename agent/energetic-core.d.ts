/** What is used of `@energetic-ai/core`, which is TensorFlow.js in one file; its own types need the packages that it was made of. */
declare module '@energetic-ai/core' {
  export type Tensor = { shape: number[]; dataSync(): Float32Array }
  export type Tensor4D = Tensor & { shape: [number, number, number, number] }
  type WeightsEntry = { name: string; shape: number[]; dtype: 'float32' }

  export const setBackend: (name: 'wasm') => Promise<boolean>
  export const io: { decodeWeights: (weights: ArrayBuffer, entries: WeightsEntry[]) => Record<string, Tensor> }
  /** Drops what was made within, but for what is returned. */
  export const tidy: <T>(work: () => T) => T
  export const tensor4d: (values: Float32Array, shape: [number, number, number, number]) => Tensor4D
  export const relu: (input: Tensor4D) => Tensor4D
  export const concat: (inputs: Tensor4D[], axis: number) => Tensor4D
  export const addN: (inputs: Tensor4D[]) => Tensor4D
  export const image: { resizeNearestNeighbor: (input: Tensor4D, size: [height: number, width: number]) => Tensor4D }
  export const fused: {
    conv2d: (layer: { x: Tensor4D; filter: Tensor; bias: Tensor; strides: number; pad: 'same' | 'valid' }) => Tensor4D
  }
}
