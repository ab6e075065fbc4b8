// What the page does in the browser, away from the thread that draws: photos, and the network.

import * as ort from "./onnxruntime/ort.wasm.bundle.min.mjs";
import { Prompt, Segmenter, SqueezesamError, cutOut } from "./squeezesam.js";

/** The limits of sqsam-demo on a server. */
const MOST_BYTES = 25 << 20;
const MOST_PIXELS = 50_000_000;
/** Longest side of what is drawn; masks and cut-outs have the photo's size. */
const DRAWN_SIDE = 1400;
/** Pixels of a photo that lie on a canvas at a time: some browsers have no larger ones. */
const BAND_PIXELS = 1 << 22;

let segmenter = null;
/** The photo on the page: {id, file, image, mask}. */
let photo = null;
let number = 0;
/** Sessions take one request at a time. */
let turn = Promise.resolve();

self.onmessage = ({ data: { id, what, request } }) => {
  turn = turn.then(async () => {
    try {
      const value = await ACTIONS[what](request);
      self.postMessage({ id, value }, transferable(value));
    } catch (error) {
      self.postMessage({ id, ...explained(error) });
    }
  });
};

const ACTIONS = {
  async open({ model, runtime, threads }) {
    ort.env.wasm.numThreads = threads;
    ort.env.logLevel = "error";
    const files = [runtime.wasm, model.segmentation, model.saliency];
    const [wasm, segmentation, saliency] = await Promise.all(files.map(fetched));
    ort.env.wasm.wasmBinary = wasm.buffer;
    const options = { executionProviders: ["wasm"] };
    segmenter = await Segmenter.open(ort, { model: segmentation, saliency }, options);
    if (segmenter.metadata.preset !== model.preset) {
      throw new SqueezesamError(
        `${model.segmentation.path} is '${segmenter.metadata.preset}', and the page was made for '${model.preset}'`);
    }
  },

  async close() {
    await segmenter?.release();
  },

  async photo({ file }) {
    if (!segmenter) throw new SqueezesamError("no model is loaded: load the page again");
    const watch = stopwatch();
    photo = null;
    const bitmap = await decoded(file);
    const { width, height } = bitmap;
    const pixels = pixelsOf(bitmap);
    const scale = Math.min(1, DRAWN_SIDE / Math.max(width, height));
    const drawn = await createImageBitmap(bitmap, {
      resizeWidth: Math.max(1, Math.round(width * scale)),
      resizeHeight: Math.max(1, Math.round(height * scale)),
      resizeQuality: "high",
    });
    bitmap.close();
    watch("decode");
    const image = segmenter.image(pixels);
    watch("resize");
    const prompt = await image.automaticStart();
    watch("saliency");
    photo = { id: ++number, file, image };
    const prediction = await image.predictAutomatic();
    const answer = await answered(prompt, prediction, prediction.chosen, watch);
    return { id: photo.id, width, height, bitmap: drawn, ...answer };
  },

  async mask({ id, asked }) {
    refuseGone(id);
    const prompt = new Prompt(asked.points, asked.box);
    const watch = stopwatch();
    return answered(prompt, await photo.image.predict(prompt), asked.chosen, watch);
  },

  async cutout({ id }) {
    refuseGone(id);
    const { width, height } = photo.image;
    const canvas = new OffscreenCanvas(width, height);
    const pen = canvas.getContext("2d");
    const bitmap = await createImageBitmap(photo.file);
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, width, height);
    pen.drawImage(bitmap, 0, 0);
    bitmap.close();
    pen.putImageData(cutOut(pen.getImageData(0, 0, width, height), photo.mask), 0, 0);
    return canvas.convertToBlob({ type: "image/png" });
  },
};

/** What the page shows of a prompt's masks. */
async function answered(prompt, prediction, asked, watch) {
  const { image } = photo;
  const chosen = Math.min(asked, prediction.count - 1);
  photo.mask = prediction.mask(chosen);
  watch("mask");
  const used = image.usedClicks(prompt);
  const scale = Math.min(1, DRAWN_SIDE / Math.max(image.width, image.height));
  const drawn = { width: Math.ceil(image.width * scale), height: Math.ceil(image.height * scale) };
  const side = prediction.maskSize;
  return {
    points: prompt.points.map((point, index) => ({ ...point, used: used[index] })),
    box: prompt.box,
    choices: await Promise.all(prediction.predictedIous.map(async (iou, index) => ({
      mask: await pictureOf(prediction.mask(index, { width: side, height: side })),
      predicted_iou: iou,
    }))),
    chosen,
    mask: await pictureOf(prediction.mask(chosen, drawn)),
    empty: photo.mask.isEmpty,
    milliseconds: watch.times,
  };
}

function refuseGone(id) {
  if (photo?.id !== id) throw new SqueezesamError("this photo is not kept any more: open it again");
}

// ---- files and pixels ----

/** A file of the page, whole: the browser compares it with its hash. */
async function fetched({ path, integrity }) {
  const answer = await fetch(path, { integrity }).catch(() => null);
  if (!answer?.ok) {
    const reason = answer ? `the host answers ${answer.status}` : "the host does not answer, or it is another file";
    throw new SqueezesamError(`${path} cannot be loaded: ${reason}`);
  }
  return new Uint8Array(await answer.arrayBuffer());
}

async function decoded(file) {
  if (!file.size) throw new SqueezesamError("the upload is empty");
  if (file.size > MOST_BYTES) throw new SqueezesamError(`the upload is larger than ${MOST_BYTES >> 20} MB`);
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new SqueezesamError("the upload cannot be read: use JPEG, PNG or WebP");
  });
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS) {
    bitmap.close();
    throw new SqueezesamError(`the upload has ${width}x${height} pixels, more than ${MOST_PIXELS / 1e6} million`);
  }
  return bitmap;
}

/** Opaque RGB of a picture, white where it is transparent; read band by band. */
function pixelsOf(bitmap) {
  const { width, height } = bitmap;
  const data = new Uint8Array(3 * width * height);
  const rows = Math.min(Math.max(1, Math.floor(BAND_PIXELS / width)), height);
  const pen = new OffscreenCanvas(width, rows).getContext("2d", { willReadFrequently: true });
  for (let top = 0, to = 0; top < height; top += rows) {
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, width, rows);
    pen.drawImage(bitmap, 0, -top);
    const { data: rgba } = pen.getImageData(0, 0, width, Math.min(rows, height - top));
    for (let from = 0; from < rgba.length; from += 4, to += 3) {
      data[to] = rgba[from];
      data[to + 1] = rgba[from + 1];
      data[to + 2] = rgba[from + 2];
    }
  }
  return { data, width, height };
}

/** A mask as a picture, white on black. */
function pictureOf({ data, width, height }) {
  const pixels = new ImageData(width, height);
  new Uint32Array(pixels.data.buffer).forEach((_, i, rgba) => (rgba[i] = data[i] ? 0xffffffff : 0xff000000));
  return createImageBitmap(pixels);
}

// ---- answers ----

function stopwatch() {
  let last = performance.now();
  const times = {};
  const watch = (name) => {
    const now = performance.now();
    [times[name], last] = [now - last, now];
  };
  return Object.assign(watch, { times });
}

function transferable(value) {
  const pictures = [value?.bitmap, value?.mask, ...(value?.choices ?? []).map(({ mask }) => mask)];
  return pictures.filter((picture) => picture instanceof ImageBitmap);
}

/** One sentence; whether it is for want of memory. */
function explained(error) {
  if (error instanceof SqueezesamError) return { error: error.message };
  const text = String(error?.message ?? error);
  if (error instanceof RangeError || /memory|bad_alloc|allocation/i.test(text)) {
    return { error: "this browser has not enough memory for it: close other pages, or use a smaller model", memory: true };
  }
  return { error: `this browser could not do that (${text.split("\n")[0].slice(0, 200)})` };
}
