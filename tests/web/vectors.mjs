// The vectors that every implementation is held to: node vectors.mjs FILE.json
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import * as squeezesam from "../../sqsam_deploy/web/squeezesam.js";

const TYPES = {
  uint8: [Uint8Array, 1], int8: [Int8Array, 1], float32: [Float32Array, 4], int64: [BigInt64Array, 8],
};

function arrayOf({ dtype, base64 }) {
  const [Type, bytes] = TYPES[dtype];
  const copy = Uint8Array.from(Buffer.from(base64, "base64"));
  return new Type(copy.buffer, 0, copy.length / bytes);
}

/** CRC-32 as zlib's; Node.js has it since 20.15. */
function crc32(bytes) {
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}

/** Equal to an array of a vector, or to its hash. */
function same(actual, expected, what) {
  if (expected.crc32) {
    const bytes = new Uint8Array(actual.buffer, actual.byteOffset, actual.byteLength);
    return assert.equal(crc32(bytes).toString(16).padStart(8, "0"), expected.crc32, what);
  }
  assert.deepEqual(Array.from(actual), Array.from(arrayOf(expected), Number), what);
}

function photo(image) {
  if (!image.pattern) {
    const [height, width] = image.shape;
    return { data: arrayOf(image), width, height };
  }
  const { height, width } = image.pattern;
  const data = new Uint8Array(3 * width * height);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) data[to++] = (7 * x + 13 * y + 29 * c + ((x * y) % 251)) % 256;
    }
  }
  return { data, width, height };
}

function promptOf({ point_coords: coords, point_labels: labels, box }) {
  const points = coords.map(([x, y], i) => ({ x: x ?? NaN, y: y ?? NaN, label: labels[i] }));
  return new squeezesam.Prompt(points, box);
}

/** Rules for prompts that are refused whatever the network is. */
const NANO = {
  image_size: 256, map_order: "clicks-box", click_radius: 3, marked_value: 255, carve_background: true, max_clicks: 6,
};

const refused = (run, why) => assert.throws(run, squeezesam.SqueezesamError, `must be refused: ${why}`);

const near = (actual, expected, limit, what) =>
  actual.flat().forEach((value, i) =>
    assert.ok(Math.abs(value - expected.flat()[i]) <= limit, `${what}: ${actual} instead of ${expected}`));

const CHECKS = {
  metadata({ json, expected, error }) {
    if (error) return refused(() => squeezesam.parseMetadata(json), error);
    const found = squeezesam.parseMetadata(json);
    for (const name of ["inputs", "outputs"]) {
      found[name] = found[name].map(({ name, dtype, shape, layout }) => ({ name, dtype, shape, layout }));
    }
    for (const [name, value] of Object.entries(expected)) assert.deepEqual(found[name], value, name);
  },

  resize({ image, resize, size, expected }) {
    const pixels = squeezesam.stretch(photo(image), size, resize);
    assert.equal(pixels.length, 3 * size ** 2);
    if (resize === "stretch-bilinear-antialias") return same(pixels, expected, "pixels");
    // torch's sums depend on the processor: a value between two steps may take either. No hash can.
    if (expected.base64) near(Array.from(pixels), Array.from(arrayOf(expected)), 1, "pixels");
  },

  prompts({ rules = NANO, image_hw: [height, width], expected, error, ...given }) {
    const metadata = { image_size: rules.image_size, prompts: rules };
    const encode = () =>
      squeezesam.encodePrompt(squeezesam.validatePrompt(promptOf(given), width, height), width, height, metadata);
    if (error) return refused(encode, error);
    const encoded = encode();
    const area = rules.image_size ** 2;
    const marked = [0, 1].map((c) => encoded.promptMaps.subarray(c * area, (c + 1) * area).filter((v) => v === 255).length);
    assert.deepEqual(marked, expected.marked);
    same(encoded.promptMaps, expected.prompt_maps, "prompt maps");
    assert.deepEqual(Array.from(encoded.pointCoords), expected.point_coords.flat().map(Math.fround));
    assert.deepEqual(Array.from(encoded.pointLabels), expected.point_labels);
  },

  packing({ layout, image, prompt_maps: maps, expected }) {
    const side = image.shape[0];
    const specs = Object.entries(expected).map(([name, { dtype, shape }]) => ({
      name, dtype, shape, layout: layout === "nchw-float32" || name === "prompt_maps" ? "NCHW" : "NHWC",
    }));
    const prompt = { promptMaps: arrayOf(maps), pointCoords: new Float32Array(0), pointLabels: new Float32Array(0) };
    const bound = squeezesam.bindInputs(specs, arrayOf(image), prompt);
    for (const [name, value] of Object.entries(expected)) {
      assert.deepEqual(bound[name].shape, value.shape);
      same(bound[name].data, value, name);
    }
    assert.equal(arrayOf(image).length, 3 * side * side);
  },

  saliency({ map, logits, image_hw: hw, expected }) {
    if (logits) {
      const steps = squeezesam.saliencyOfLogits(arrayOf(logits)).map((value) => Math.round(value * 255));
      return same(Uint8Array.from(steps), expected.steps, "steps");
    }
    const [height, width] = map.shape;
    const found = squeezesam.saliencyClicks(arrayOf(map), width, height);
    near(found.pointCoords, expected.point_coords, 1e-3, "clicks");
    assert.equal(found.area, expected.area ?? expected.blob_pixels);
    assert.equal(found.maximumCount, expected.maximum_count);
    near([found.threshold, found.maximum], [expected.threshold, expected.maximum ?? found.maximum], 1e-5, "threshold");
    if (expected.blob) same(found.blob, expected.blob, "blob");
    if (hw) {
      const photoSize = { width: hw[1], height: hw[0] };
      near(squeezesam.scaleClicks(found.pointCoords, { width, height }, photoSize), expected.on_image, 1e-3, "clicks on the photo");
    }
  },

  masks({ low_res_masks: logits, iou_predictions: ious, image_hw: [height, width], threshold, expected }) {
    assert.deepEqual(squeezesam.bestFirst(ious), expected.order);
    const [count, side] = logits.shape;
    const values = arrayOf(logits);
    const enlarged = new Uint8Array(count * width * height);
    for (let i = 0; i < count; i++) {
      const mask = squeezesam.enlargeMask(values.slice(i * side ** 2, (i + 1) * side ** 2), side, width, height, threshold);
      assert.equal(mask.filter(Boolean).length, expected.areas[i]);
      enlarged.set(mask, i * width * height);
    }
    same(enlarged, expected.masks, "masks");
  },
};

/** One prediction of the automatic start, without a network. */
CHECKS.auto = ({ map, image_hw: [height, width], low_res_masks: logits, iou_predictions: ious, threshold, expected }) => {
  const mapSize = { width: map.shape[1], height: map.shape[0] };
  const photoSize = { width, height };
  const { pointCoords, blob } = squeezesam.saliencyClicks(arrayOf(map), mapSize.width, mapSize.height);
  near(squeezesam.scaleClicks(pointCoords, mapSize, photoSize), expected.point_coords, 1e-3, "clicks");
  near([...squeezesam.blobBox(blob, mapSize, photoSize)], expected.box, 1e-3, "box");
  const [count, side] = logits.shape;
  const onGrid = squeezesam.blobOnGrid(blob, mapSize, side);
  same(onGrid, expected.blob_on_grid, "blob on the grid");
  assert.deepEqual(squeezesam.bestFirst(ious), expected.order);
  const masks = Array.from({ length: count }, (_, i) => arrayOf(logits).slice(i * side ** 2, (i + 1) * side ** 2));
  const metadata = { mask_size: side, mask_threshold: threshold };
  const prediction = new squeezesam.Prediction(masks, ious, photoSize, metadata, onGrid);
  assert.equal(expected.order[prediction.chosen], expected.chosen);
};

const { topic, cases } = JSON.parse(readFileSync(process.argv[2], "utf8"));
for (const { name, ...given } of cases) {
  try {
    CHECKS[topic](given);
  } catch (error) {
    throw new Error(`${topic}, ${name}`, { cause: error });
  }
}
console.log(`${cases.length} of ${topic}`);
