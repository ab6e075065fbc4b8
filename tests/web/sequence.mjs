// Prompts one after another on one photo: node sequence.mjs MODEL.onnx ...
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import * as squeezesam from "../../sqsam_deploy/web/squeezesam.js";

const [WIDTH, HEIGHT, COUNT] = [50, 40, 80];

let state = 1;
const random = (limit) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return (state / 2 ** 32) * limit;
};

/** A prompt that has something of the one before, as a person's next click or box has. */
function next({ points, box }) {
  const kept = points.filter(() => random(1) < 0.8);
  if (kept.length < 5) kept.push({ x: random(WIDTH - 1), y: random(HEIGHT - 1), label: Math.round(random(1)) });
  if (random(1) < 0.3) {
    const [x, y] = [random(WIDTH - 12), random(HEIGHT - 12)];
    box = random(1) < 0.3 ? null : [x, y, x + 2 + random(9), y + 2 + random(9)];
  }
  return new squeezesam.Prompt(kept, box);
}

/** A runtime that keeps a copy of what it is fed, some time after it was asked. */
const recorder = (fed) => ({
  Tensor: class {
    constructor(dtype, data, dims) {
      Object.assign(this, { dtype, data, dims });
    }
  },
  InferenceSession: {
    create: async (model) => ({
      async run(feeds) {
        await new Promise((done) => setTimeout(done));
        fed.push(Object.fromEntries(Object.entries(feeds).map(([name, { data }]) => [name, data.slice()])));
        const outputs = squeezesam.readMetadata(model).outputs.map(({ name, shape }) =>
          [name, { dims: shape, data: new Float32Array(shape.reduce((a, b) => a * b)) }]);
        return Object.fromEntries(outputs);
      },
      async release() {},
    }),
  },
});

for (const path of process.argv.slice(2)) {
  const model = new Uint8Array(readFileSync(path));
  const metadata = squeezesam.readMetadata(model);
  const pixels = { data: Uint8Array.from({ length: 3 * WIDTH * HEIGHT }, () => random(256)), width: WIDTH, height: HEIGHT };
  const fed = [];
  const segmenter = await squeezesam.Segmenter.open(recorder(fed), { model });
  const image = segmenter.image(pixels);
  const prompts = [next({ points: [], box: null })];
  while (prompts.length < COUNT) prompts.push(next(prompts.at(-1)));
  for (const prompt of prompts.slice(0, COUNT / 2)) await image.predict(prompt);
  // Asked for all at once, they must not be drawn into what is being read.
  await Promise.all(prompts.slice(COUNT / 2).map((prompt) => image.predict(prompt)));
  const square = squeezesam.stretch(pixels, metadata.image_size, metadata.resize);
  assert.equal(fed.length, COUNT);
  prompts.forEach((prompt, index) => {
    const encoded = squeezesam.encodePrompt(
      squeezesam.validatePrompt(prompt, WIDTH, HEIGHT), WIDTH, HEIGHT, metadata);
    const fresh = squeezesam.bindInputs(metadata.inputs, square, encoded);
    for (const [name, { data }] of Object.entries(fresh)) assert.deepEqual(fed[index][name], data, `${path}: ${name} of prompt ${index}`);
  });
}
console.log(`${process.argv.length - 2} passed`);
