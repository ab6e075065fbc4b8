// Masks in Node: node predict.mjs FOLDER JOB.json, where FOLDER has the npm packages.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import { Prompt, Segmenter } from "../../sqsam_deploy/web/squeezesam.js";

const [folder, file] = process.argv.slice(2);
const ort = createRequire(join(folder, "package.json"))("onnxruntime-node");
const { model, saliency, photos } = JSON.parse(readFileSync(file, "utf8"));
const segmenter = await Segmenter.open(ort, { model: readFileSync(model), saliency: readFileSync(saliency) });
for (const { pixels, width, height, prompts } of photos) {
  const image = segmenter.image({ data: readFileSync(pixels), width, height });
  for (const { points, box, mask } of prompts) {
    const prompt = points ? new Prompt(points, box) : null;
    writeFileSync(mask, (await image.mask(prompt)).data);
  }
}
await segmenter.release();
console.log(JSON.stringify({ preset: segmenter.metadata.preset, photos: photos.length }));
