/// <reference path="./energetic-core.d.ts" />
/** Keras models as TensorFlow.js keeps them, on its WebAssembly: the few layers that ours have, without the package for all of them. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as tf from '@energetic-ai/core'

type Layer = {
  class_name: string
  name: string
  config: { padding?: 'same' | 'valid' }
  /** Of one call of the layer, the names of the layers whose outputs it takes. */
  inbound_nodes: [] | [[name: string, ...unknown[]][]]
}
type ModelFile = {
  modelTopology: { model_config: { config: { layers: Layer[] } } }
  weightsManifest: [{ paths: [string]; weights: Parameters<typeof tf.io.decodeWeights>[1] }]
}

/** Pixels of three channels in, rows from the top, and the same of what the model makes of them. */
export type Model = (pixels: Float32Array, height: number, width: number) => Float32Array

export const modelFiles = (folder: string): string[] =>
  ['model.json', 'group1-shard1of1.bin'].map((name) => join(folder, name))

export async function openModel(folder: string): Promise<Model> {
  await tf.setBackend('wasm')
  const [topology, shard] = await Promise.all(modelFiles(folder).map((file) => readFile(file)))
  const { modelTopology, weightsManifest } = JSON.parse(topology!.toString()) as ModelFile
  const weights = tf.io.decodeWeights(Uint8Array.from(shard!).buffer, weightsManifest[0].weights)
  const { layers } = modelTopology.model_config.config
  return (pixels, height, width) =>
    tf.tidy(() => {
      const outputs = new Map<string, tf.Tensor4D>()
      let last = tf.tensor4d(pixels, [1, height, width, 3])
      for (const layer of layers) {
        const inputs = (layer.inbound_nodes[0] ?? []).map(([name]) => outputs.get(name)!)
        if (layer.class_name !== 'InputLayer') last = apply(layer, inputs, weights)
        outputs.set(layer.name, last)
      }
      return last.dataSync()
    })
}

function apply(
  { class_name, name, config }: Layer,
  inputs: tf.Tensor4D[],
  weights: Record<string, tf.Tensor>,
): tf.Tensor4D {
  const [input] = inputs as [tf.Tensor4D]
  switch (class_name) {
    case 'Conv2D':
      return tf.fused.conv2d({
        x: input,
        filter: weights[`${name}/kernel`]!,
        bias: weights[`${name}/bias`]!,
        strides: 1,
        pad: config.padding!,
      })
    case 'Activation':
      return tf.relu(input)
    case 'Concatenate':
      return tf.concat(inputs, 3)
    case 'Add':
      return tf.addN(inputs)
    case 'UpSampling2D':
      return tf.image.resizeNearestNeighbor(input, [input.shape[1] * 2, input.shape[2] * 2])
    default:
      throw new Error(`the model has a layer of an unknown kind: ${class_name}`)
  }
}
