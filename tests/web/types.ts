// What an app writes, in each of the three runtimes; `tsc` checks it.
import * as web from "onnxruntime-web/wasm";
import * as node from "onnxruntime-node";
import * as native from "onnxruntime-react-native";

import { Mask, Prompt, Segmenter, type Pixels, type Runtime } from "./squeezesam.js";

const runtimes: Runtime[] = [web, node, native];

export async function cutOutOf(pixels: Pixels, model: Uint8Array, saliency: Uint8Array): Promise<Mask> {
  const segmenter: Segmenter = await Segmenter.open(runtimes[0], { model, saliency }, { executionProviders: ["wasm"] });
  const image = segmenter.image(pixels);
  const automatic: Mask = await image.mask();
  const start: Prompt = await image.automaticPrompt();
  const prediction = await image.predict(start.withClick(3, 4, 0).withBox([0, 0, 9, 9]));
  const best: number = prediction.predictedIous[0];
  const size: number = segmenter.metadata.image_size;
  await segmenter.release();
  return best > size ? prediction.mask(1) : best < 0 ? automatic : image.mask(start);
}

// @ts-expect-error A model is bytes, not an address.
Segmenter.open(web, { model: "nano-int8.onnx" });
// @ts-expect-error A box has four numbers.
new Prompt([], [1, 2, 3]);
