// SqueezeSAM on ONNX Runtime in JavaScript: photo and clicks in, mask out.
//
// The caller brings the runtime: `onnxruntime-web`, `onnxruntime-node` or
// `onnxruntime-react-native`. Everything an artifact wants is read from the artifact itself, and
// every rule is the Python package's: sizes, resizing, prompt maps, packing, enlarging. The types
// in squeezesam.d.ts are made from the comments here.

/**
 * Pixels as a canvas gives them.
 *
 * @typedef {object} Pixels
 * @property {Uint8Array | Uint8ClampedArray} data RGBA or RGB, interleaved, row by row; alpha is
 *   not looked at.
 * @property {number} width
 * @property {number} height
 */

/**
 * A click in pixels of the photo, pixel centers at whole numbers.
 *
 * @typedef {object} Click
 * @property {number} x
 * @property {number} y
 * @property {number} label 1 on the object, 0 on the background, -1 no click.
 */

/** @typedef {readonly [number, number, number, number]} Box (x0, y0, x1, y1) in pixels of the photo. */

/**
 * One input or output of an artifact.
 *
 * @typedef {object} TensorSpec
 * @property {string} name
 * @property {"float32" | "uint8" | "int8"} dtype int8 holds pixel values minus 128.
 * @property {number[]} shape
 * @property {string} layout "NCHW", "NHWC", "image", "NxPx2", "NxP", "NxM" or "NxMxHxW".
 */

/**
 * How prompts are drawn.
 *
 * @typedef {object} PromptRules
 * @property {"clicks-box" | "box-clicks"} map_order
 * @property {number} click_radius In pixels of the network's square.
 * @property {number} marked_value
 * @property {boolean} carve_background Whether a background click cuts its disc out of the box.
 * @property {number} max_clicks
 */

/**
 * What an artifact says of itself.
 *
 * @typedef {object} Metadata
 * @property {number} format_version
 * @property {"segmentation" | "saliency"} task
 * @property {string} preset
 * @property {string} runtime
 * @property {string} precision
 * @property {string} weights_sha256
 * @property {number} image_size Side of the square that the network sees.
 * @property {number} mask_size Side of the low-resolution masks.
 * @property {"stretch-bilinear" | "stretch-bilinear-antialias"} resize
 * @property {PromptRules | null} prompts None in a saliency network.
 * @property {number} mask_threshold
 * @property {TensorSpec[]} inputs
 * @property {TensorSpec[]} outputs
 */

/**
 * A prompt as the network takes it.
 *
 * @typedef {object} EncodedPrompt
 * @property {Uint8Array} promptMaps 2xSxS, in the artifact's order.
 * @property {Float32Array} pointCoords Px2, (x, y) in pixels of the network's square.
 * @property {Float32Array} pointLabels P: the clicks, then the box's corners (2, 3), then -1.
 */

/**
 * A prompt in pixels of the network's square.
 *
 * @typedef {object} PlacedPrompt
 * @property {Click[]} clicks
 * @property {number[] | null} corners The box's: x0, y0, x1, y1.
 */

/**
 * Where a channel lies: every `step`-th element from `start` on, row by row.
 *
 * @typedef {object} Channel
 * @property {Float32Array | Uint8Array | Int8Array} data
 * @property {number} start
 * @property {number} step
 */

/**
 * Pixels of a rectangle; right and bottom are outside.
 *
 * @typedef {object} Region
 * @property {number} left
 * @property {number} top
 * @property {number} right
 * @property {number} bottom
 */

/**
 * The five clicks of a saliency map.
 *
 * @typedef {object} SaliencyClicks
 * @property {[number, number][]} pointCoords (x, y) in pixels of the map.
 * @property {Uint8Array} blob 1 where the most salient blob is.
 * @property {number} area Pixels of the blob.
 * @property {number} threshold Lowest saliency that belongs to a blob.
 * @property {number} maximum Highest saliency.
 * @property {number} maximumCount Pixels of the blob that have it.
 */

/**
 * What is used of ONNX Runtime: `import * as ort from "onnxruntime-web/wasm"`.
 *
 * @typedef {object} Runtime
 * @property {{ create(model: Uint8Array, options?: any): Promise<RuntimeSession> }} InferenceSession
 * @property {new (type: any, data: any, dims: readonly number[]) => any} Tensor
 */

/**
 * @typedef {object} RuntimeSession
 * @property {(feeds: any) => Promise<any>} run
 * @property {() => Promise<void>} release
 */

/** An error with one sentence for a person. */
export class SqueezesamError extends Error {
  /** @param {string} sentence */
  constructor(sentence) {
    super(sentence);
    this.name = "SqueezesamError";
  }
}

const f32 = Math.fround;
/** @param {number} value @param {number} low @param {number} high */
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** numpy's `rint`: halves go to the even number. @param {number} value */
function roundHalfEven(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

// ---- prompts ----

/** Clicks and a box on a photo; a value that never changes. */
export class Prompt {
  /**
   * @param {readonly Click[]} [points] The clicks, the latest last.
   * @param {Box | null} [box]
   */
  constructor(points = [], box = null) {
    /** @type {readonly Click[]} */
    this.points = Object.freeze([...points]);
    /** @type {Box | null} */
    this.box = box;
    Object.freeze(this);
  }

  /**
   * The prompt with one more click.
   *
   * @param {number} x
   * @param {number} y
   * @param {number} [label] 1 on the object, 0 on the background.
   */
  withClick(x, y, label = 1) {
    return new Prompt([...this.points, { x, y, label }], this.box);
  }

  /**
   * The prompt without one of its clicks; -1 is the latest.
   *
   * @param {number} index
   */
  withoutClick(index) {
    const count = this.points.length;
    if (!(index >= -count && index < count)) {
      throw new SqueezesamError(`click ${index} does not exist: the prompt has ${count}`);
    }
    const gone = index < 0 ? count + index : index;
    return new Prompt(this.points.filter((_, position) => position !== gone), this.box);
  }

  /**
   * The prompt with another box, or without one.
   *
   * @param {Box | null} box
   */
  withBox(box) {
    return new Prompt(this.points, box);
  }
}

/** Photos with a shorter side than this may be clicked within 0..1. */
const SMALL = 8;

/**
 * A prompt checked and moved inside its photo: -1 is dropped, a click outside moves to the edge,
 * the box's corners are sorted and cut at the edges.
 *
 * @param {Prompt} prompt
 * @param {number} width Of the photo.
 * @param {number} height Of the photo.
 * @returns {Prompt}
 * @throws {SqueezesamError} Numbers that are not finite, labels that do not exist, shares of the
 *   photo in place of pixels, what lies far outside.
 */
export function validatePrompt(prompt, width, height) {
  for (const { x, y, label } of prompt.points) {
    if (!isFloat32(x) || !isFloat32(y)) throw new SqueezesamError("clicks must be finite numbers");
    if (label !== 0 && label !== 1 && label !== -1) {
      throw new SqueezesamError("labels must be 1 (object), 0 (background) or -1 (no click)");
    }
  }
  const given = prompt.points.filter(({ label }) => label !== -1);
  const points = given.map(({ x, y, label }) => ({ x: f32(x), y: f32(y), label }));
  const box = prompt.box && cutBox(prompt.box, width, height);
  refuseShares(points, prompt.box, width, height);
  for (const { x, y } of points) {
    if (x < -width || y < -height || x > 2 * width || y > 2 * height) {
      throw new SqueezesamError(
        `the click (${x}, ${y}) lies far outside the photo of ${width}x${height} pixels`);
    }
  }
  const inside = points.map(({ x, y, label }) =>
    ({ x: clamp(x, 0, width - 1), y: clamp(y, 0, height - 1), label }));
  return new Prompt(inside, box);
}

/** @param {unknown} value */
const isFloat32 = (value) => typeof value === "number" && Number.isFinite(f32(value));

/** @param {Box} box @param {number} width @param {number} height @returns {Box} */
function cutBox(box, width, height) {
  if (box.length !== 4 || !box.every(isFloat32)) {
    throw new SqueezesamError("a box must be four finite numbers (x0, y0, x1, y1)");
  }
  const [x0, y0, x1, y1] = box.map(f32);
  const [left, right] = [Math.min(x0, x1), Math.max(x0, x1)];
  const [top, bottom] = [Math.min(y0, y1), Math.max(y0, y1)];
  if (right < 0 || bottom < 0 || left > width || top > height) {
    throw new SqueezesamError(
      `the box (${box.join(", ")}) lies outside the photo of ${width}x${height} pixels`);
  }
  return [
    clamp(left, 0, width - 1), clamp(top, 0, height - 1),
    clamp(right, 0, width - 1), clamp(bottom, 0, height - 1),
  ];
}

/**
 * As pixels, shares of the photo all lie on its first one, where nobody points.
 *
 * @param {readonly Click[]} points
 * @param {Box | null} box
 * @param {number} width
 * @param {number} height
 */
function refuseShares(points, box, width, height) {
  if (Math.min(width, height) < SMALL) return;
  /** @param {number} value */
  const isShare = (value) => value >= 0 && value <= 1;
  const coords = points.flatMap(({ x, y }) => [x, y]);
  const clicked = coords.length > 0 && coords.every(isShare) && coords.some((v) => v % 1 !== 0);
  if (clicked || box?.every(isShare)) {
    throw new SqueezesamError(
      `the prompt holds shares of the photo (0 to 1): give pixels of its ${width}x${height}`);
  }
}

/**
 * Positions of the clicks that count, of so many: the first, which says what is meant, and the
 * latest, which correct what is still wrong.
 *
 * @param {number} count
 * @param {number} maxClicks
 * @returns {number[]}
 */
export function keptClicks(count, maxClicks) {
  const excess = Math.max(count - maxClicks, 0);
  return [...Array(count).keys()].filter((i) => i === 0 || i > excess).slice(0, maxClicks);
}

/**
 * A prompt as the artifact takes it: scaled to the network's square, drawn, and listed.
 *
 * @param {Prompt} prompt From `validatePrompt`.
 * @param {number} width Of the photo.
 * @param {number} height Of the photo.
 * @param {{ image_size: number, prompts: PromptRules | null }} metadata Of the artifact.
 * @returns {EncodedPrompt}
 */
export function encodePrompt(prompt, width, height, metadata) {
  const placed = placePrompt(prompt, width, height, metadata);
  const area = metadata.image_size ** 2;
  const promptMaps = new Uint8Array(2 * area);
  new PromptMaps(channelsOf(promptMaps, "NCHW", area), metadata).draw(placed);
  return { promptMaps, ...listPoints(placed, rulesOf(metadata)) };
}

/** @param {{ prompts: PromptRules | null }} metadata */
function rulesOf({ prompts }) {
  if (!prompts) throw new SqueezesamError("a saliency network takes no prompt");
  return prompts;
}

/**
 * The prompt in pixels of the network's square, with the clicks that count.
 *
 * @param {Prompt} prompt
 * @param {number} width
 * @param {number} height
 * @param {{ image_size: number, prompts: PromptRules | null }} metadata
 * @returns {PlacedPrompt}
 */
function placePrompt(prompt, width, height, metadata) {
  const [scaleX, scaleY] = [f32(metadata.image_size / width), f32(metadata.image_size / height)];
  const clicks = keptClicks(prompt.points.length, rulesOf(metadata).max_clicks).map((index) => {
    const { x, y, label } = prompt.points[index];
    return { x: f32(f32(x) * scaleX), y: f32(f32(y) * scaleY), label };
  });
  const corners = prompt.box &&
    prompt.box.map((value, axis) => f32(f32(value) * (axis % 2 ? scaleY : scaleX)));
  return { clicks, corners };
}

/**
 * The two channels of a prompt, wherever the network reads them. Of a prompt only what differs from
 * the one before is drawn: another click costs some hundred pixels, not two squares.
 */
class PromptMaps {
  #clicks;
  #box;
  #size;
  #rules;
  #empty;
  #marked;
  /** @type {Region} */
  #area;
  /** @type {Region[]} */
  #discs = [];
  /** @type {Region[]} */
  #holes = [];

  /**
   * @param {Channel[]} channels In the artifact's order; overwritten.
   * @param {{ image_size: number, prompts: PromptRules | null }} metadata
   * @param {number} [offset] What is taken off every value.
   */
  constructor(channels, metadata, offset = 0) {
    this.#size = metadata.image_size;
    this.#rules = rulesOf(metadata);
    [this.#clicks, this.#box] = this.#rules.map_order === "clicks-box" ? channels : [...channels].reverse();
    this.#empty = 0 - offset;
    this.#marked = this.#rules.marked_value - offset;
    this.#area = this.#square;
    this.#fill(this.#clicks, this.#area, this.#empty);
    this.#fill(this.#box, this.#area, this.#marked);
  }

  get #square() {
    return { left: 0, top: 0, right: this.#size, bottom: this.#size };
  }

  /** Makes the channels those of a prompt. @param {PlacedPrompt} prompt */
  draw({ clicks, corners }) {
    const area = corners ? this.#within(corners) : this.#square;
    for (const disc of this.#discs) this.#fill(this.#clicks, disc, this.#empty);
    if (Object.entries(area).some(([edge, value]) => this.#area[/** @type {keyof Region} */ (edge)] !== value)) {
      this.#fill(this.#box, this.#area, this.#empty);
      this.#fill(this.#box, area, this.#marked);
    }
    for (const hole of this.#holes) this.#fill(this.#box, common(hole, area), this.#marked);
    [this.#area, this.#discs, this.#holes] = [area, [], []];
    for (const click of clicks) {
      if (click.label === 1) this.#discs.push(this.#fillDisc(this.#clicks, click, this.#marked));
      else if (this.#rules.carve_background) this.#holes.push(this.#fillDisc(this.#box, click, this.#empty));
    }
  }

  /** Pixel i belongs to the box when x0 <= i <= x1. @param {number[]} corners @returns {Region} */
  #within([x0, y0, x1, y1]) {
    const [left, top] = [x0, y0].map((edge) => Math.max(Math.ceil(edge), 0));
    const [right, bottom] = [x1, y1].map((edge) => Math.min(Math.floor(edge) + 1, this.#size));
    return { left, top, right, bottom };
  }

  /** @param {Channel} channel @param {Region} region @param {number} value */
  #fill({ data, start, step }, { left, top, right, bottom }, value) {
    for (let row = top; row < bottom; row++) {
      const first = start + step * (row * this.#size + left);
      const end = start + step * (row * this.#size + right);
      if (step === 1) data.fill(value, first, Math.max(first, end));
      else for (let i = first; i < end; i += step) data[i] = value;
    }
  }

  /**
   * Sets the pixels whose centers lie within the radius, and says where they may be.
   *
   * @param {Channel} channel
   * @param {Click} click
   * @param {number} value
   * @returns {Region}
   */
  #fillDisc({ data, start, step }, { x, y }, value) {
    const radius = this.#rules.click_radius;
    const [left, top] = [x, y].map((center) => Math.max(Math.trunc(center) - radius, 0));
    const [right, bottom] = [x, y].map((center) => Math.min(Math.trunc(center) + radius + 2, this.#size));
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++) {
        const inside = (column - x) ** 2 + (row - y) ** 2 <= radius ** 2;
        if (inside) data[start + step * (row * this.#size + column)] = value;
      }
    }
    return { left, top, right, bottom };
  }
}

/** @param {Region} one @param {Region} other @returns {Region} */
function common(one, other) {
  return {
    left: Math.max(one.left, other.left),
    top: Math.max(one.top, other.top),
    right: Math.min(one.right, other.right),
    bottom: Math.min(one.bottom, other.bottom),
  };
}

/** @param {PlacedPrompt} prompt @param {PromptRules} rules */
function listPoints({ clicks, corners }, rules) {
  const count = rules.max_clicks + 2;
  const pointCoords = new Float32Array(2 * count);
  const pointLabels = new Float32Array(count).fill(-1);
  const listed = clicks.map(({ x, y, label }) => [x, y, label]);
  if (corners) listed.push([corners[0], corners[1], 2], [corners[2], corners[3], 3]);
  listed.forEach(([x, y, label], index) => {
    pointCoords.set([x, y], 2 * index);
    pointLabels[index] = label;
  });
  return { pointCoords, pointLabels };
}

// ---- the photo ----

/**
 * The photo stretched to the network's square, without letterbox.
 *
 * @param {Pixels} pixels
 * @param {number} size Side of the square.
 * @param {Metadata["resize"]} [resize] "stretch-bilinear-antialias" is Pillow's BILINEAR, first the
 *   width and then the height; "stretch-bilinear" is torch's `interpolate`.
 * @returns {Uint8Array} SxSx3, RGB.
 */
export function stretch(pixels, size, resize = "stretch-bilinear-antialias") {
  const { data, width, height } = pixels;
  const channels = data.length / (width * height);
  if (!(width > 0 && height > 0) || (channels !== 3 && channels !== 4)) {
    throw new SqueezesamError(
      `pixels must be ${width}x${height} of RGB or RGBA, got ${data.length} bytes`);
  }
  if (resize === "stretch-bilinear") return stretchUnfiltered(pixels, channels, size);
  const wide = resizeRows(data, width, height, channels, size);
  return resizeColumns(wide, size, height, size);
}

/** Bits behind the point of Pillow's coefficients. */
const PRECISION = 22;

/**
 * Pillow's coefficients of the triangle filter: for each place in the result the first pixel, and
 * the weights of it and those behind it.
 *
 * @param {number} from
 * @param {number} to
 */
function coefficients(from, to) {
  const scale = from / to;
  const support = Math.max(scale, 1);
  const places = [];
  for (let place = 0; place < to; place++) {
    const center = (place + 0.5) * scale;
    const first = Math.max(Math.trunc(center - support + 0.5), 0);
    const end = Math.min(Math.trunc(center + support + 0.5), from);
    const weights = [];
    let sum = 0;
    for (let pixel = first; pixel < end; pixel++) {
      const weight = Math.max(1 - Math.abs((pixel - center + 0.5) * (1 / support)), 0);
      weights.push(weight);
      sum += weight;
    }
    const fixed = weights.map((weight) =>
      Math.trunc(0.5 + (sum !== 0 ? weight / sum : weight) * (1 << PRECISION)));
    places.push({ first, weights: Int32Array.from(fixed) });
  }
  return places;
}

/**
 * HxWxC to HxSx3.
 *
 * @param {Uint8Array | Uint8ClampedArray} data
 * @param {number} width
 * @param {number} height
 * @param {number} channels
 * @param {number} size
 */
function resizeRows(data, width, height, channels, size) {
  const out = new Uint8ClampedArray(height * size * 3);
  const places = coefficients(width, size);
  for (let row = 0, to = 0; row < height; row++) {
    const start = row * width * channels;
    for (const { first, weights } of places) {
      let red = 1 << (PRECISION - 1);
      let [green, blue, at] = [red, red, start + first * channels];
      for (let i = 0; i < weights.length; i++, at += channels) {
        const weight = weights[i];
        red += data[at] * weight;
        green += data[at + 1] * weight;
        blue += data[at + 2] * weight;
      }
      out[to++] = red >> PRECISION;
      out[to++] = green >> PRECISION;
      out[to++] = blue >> PRECISION;
    }
  }
  return out;
}

/**
 * HxWx3 to SxWx3.
 *
 * @param {Uint8ClampedArray} data
 * @param {number} width
 * @param {number} height
 * @param {number} size
 */
function resizeColumns(data, width, height, size) {
  const length = width * 3;
  const out = new Uint8Array(size * length);
  const sums = new Int32Array(length);
  coefficients(height, size).forEach(({ first, weights }, place) => {
    sums.fill(1 << (PRECISION - 1));
    for (let i = 0; i < weights.length; i++) {
      const [weight, start] = [weights[i], (first + i) * length];
      for (let x = 0; x < length; x++) sums[x] += data[start + x] * weight;
    }
    for (let x = 0; x < length; x++) out[place * length + x] = clamp(sums[x] >> PRECISION, 0, 255);
  });
  return out;
}

/**
 * For each place in the result the two places it lies between, and their shares (torch's
 * `interpolate`, bilinear, `align_corners=False`).
 *
 * @param {number} from
 * @param {number} to
 */
function between(from, to) {
  const scale = f32(from / to);
  return Array.from({ length: to }, (_, place) => {
    const at = Math.max(f32(f32(scale * f32(place + 0.5)) - 0.5), 0);
    const low = Math.min(Math.trunc(at), from - 1);
    const share = clamp(f32(at - low), 0, 1);
    return { low, high: Math.min(low + 1, from - 1), share, rest: f32(1 - share) };
  });
}

/** @param {Pixels} pixels @param {number} channels @param {number} size */
function stretchUnfiltered({ data, width, height }, channels, size) {
  const out = new Uint8Array(size * size * 3);
  const columns = between(width, size);
  between(height, size).forEach((row, y) => {
    const [above, below] = [row.low * width, row.high * width];
    columns.forEach((column, x) => {
      for (let c = 0; c < 3; c++) {
        /** @param {number} pixel */
        const value = (pixel) => data[pixel * channels + c];
        const top = value(above + column.low) * column.rest + value(above + column.high) * column.share;
        const bottom = value(below + column.low) * column.rest + value(below + column.high) * column.share;
        out[(y * size + x) * 3 + c] = roundHalfEven(f32(top * row.rest + bottom * row.share));
      }
    });
  });
  return out;
}

// ---- the tensors ----

/**
 * Photo and prompt as the artifact's inputs, by name.
 *
 * @param {readonly TensorSpec[]} specs
 * @param {Uint8Array} image SxSx3, from `stretch`.
 * @param {EncodedPrompt | null} prompt None for a saliency network.
 * @returns {Record<string, { dtype: TensorSpec["dtype"], data: Float32Array | Uint8Array | Int8Array, shape: number[] }>}
 */
export function bindInputs(specs, image, prompt) {
  const area = image.length / 3;
  const planes = channelsOf(image, "NHWC", area);
  const maps = prompt ? channelsOf(prompt.promptMaps, "NCHW", area) : [];
  return Object.fromEntries(specs.map((spec) => {
    const pixels = { image: planes, prompt_maps: maps, pixels: [...planes, ...maps] }[spec.name];
    const data = pixels
      ? packed(spec, pixels, area)
      : { point_coords: prompt?.pointCoords, point_labels: prompt?.pointLabels }[spec.name];
    const count = spec.shape.reduce((product, length) => product * length, 1);
    if (data?.length !== count) {
      throw new SqueezesamError(
        `the model's input '${spec.name}' takes ${spec.shape.join("x")}, got ${data?.length ?? "nothing"}`);
    }
    return [spec.name, { dtype: spec.dtype, data, shape: spec.shape }];
  }));
}

/**
 * The inputs of one photo, which prompts are drawn into one after another.
 *
 * The photo is converted and interleaved once; a prompt then writes the pixels that it changes.
 */
class PhotoInputs {
  #metadata;
  #bound;
  /** @type {PromptMaps[]} */
  #maps = [];

  /** @param {Metadata} metadata @param {Uint8Array} image SxSx3, from `stretch`. */
  constructor(metadata, image) {
    this.#metadata = metadata;
    const rules = rulesOf(metadata);
    const area = metadata.image_size ** 2;
    const promptMaps = new Uint8Array(2 * area);
    this.#bound = bindInputs(metadata.inputs, image, { promptMaps, ...listPoints({ clicks: [], corners: null }, rules) });
    for (const { name, dtype, layout } of metadata.inputs) {
      if (name !== "prompt_maps" && name !== "pixels") continue;
      const maps = channelsOf(this.#bound[name].data, layout, area).slice(-2);
      this.#maps.push(new PromptMaps(maps, metadata, dtype === "int8" ? 128 : 0));
    }
  }

  /**
   * All inputs by name, with the prompt; good until the next call.
   *
   * @param {PlacedPrompt} prompt
   */
  draw(prompt) {
    for (const maps of this.#maps) maps.draw(prompt);
    const { pointCoords, pointLabels } = listPoints(prompt, rulesOf(this.#metadata));
    this.#bound.point_coords?.data.set(pointCoords);
    this.#bound.point_labels?.data.set(pointLabels);
    return this.#bound;
  }
}

/**
 * Channels in the layout and element type of an input.
 *
 * @param {TensorSpec} spec
 * @param {Channel[]} channels
 * @param {number} area
 */
function packed(spec, channels, area) {
  const Type = { float32: Float32Array, uint8: Uint8Array, int8: Int8Array }[spec.dtype];
  const out = new Type(channels.length * area);
  // Minus 128 is the same bits with the highest one turned.
  const turned = spec.dtype === "int8" ? 128 : 0;
  channelsOf(out, spec.layout, area).forEach(({ start: first, step: stride }, channel) => {
    const { data, start, step } = channels[channel];
    for (let from = start, to = first, i = 0; i < area; i++, from += step, to += stride) out[to] = data[from] ^ turned;
  });
  return out;
}

/**
 * The channels of an input.
 *
 * @param {Channel["data"]} data
 * @param {string} layout "NCHW" is one plane after another, anything else pixel by pixel.
 * @param {number} area Pixels of a channel.
 * @returns {Channel[]}
 */
function channelsOf(data, layout, area) {
  const count = data.length / area;
  return Array.from({ length: count }, (_, c) =>
    layout === "NCHW" ? { data, start: c * area, step: 1 } : { data, start: c, step: count });
}

// ---- masks ----

/**
 * A mask at a size: 1 where its enlarged logits are above the threshold.
 *
 * @param {Float32Array} logits sxs.
 * @param {number} side s.
 * @param {number} width
 * @param {number} height
 * @param {number} [threshold]
 * @returns {Uint8Array} HxW, 0 or 1.
 */
export function enlargeMask(logits, side, width, height, threshold = 0) {
  const out = new Uint8Array(width * height);
  const columns = between(side, width);
  /** @param {number} row @param {Float32Array} into */
  const widen = (row, into) => {
    const start = row * side;
    for (let x = 0; x < width; x++) {
      const { low, high, share, rest } = columns[x];
      into[x] = f32(logits[start + low] * rest) + f32(logits[start + high] * share);
    }
  };
  // Two rows of the result's width are kept: most rows lie between the same two.
  let [upper, lower] = [new Float32Array(width), new Float32Array(width)];
  let [above, below] = [-1, -1];
  between(side, height).forEach(({ low, high, share, rest }, y) => {
    if (low === below) [upper, lower, above, below] = [lower, upper, below, above];
    if (low !== above) widen((above = low), upper);
    if (high !== below) widen((below = high), lower);
    const start = y * width;
    for (let x = 0; x < width; x++) {
      out[start + x] = f32(upper[x] * rest) + f32(lower[x] * share) > threshold ? 1 : 0;
    }
  });
  return out;
}

/** A mask at the size of a photo, or at another size. */
export class Mask {
  /**
   * @param {Uint8Array} data HxW, 0 or 1.
   * @param {number} width
   * @param {number} height
   * @param {number} predictedIou What the network expects of it.
   */
  constructor(data, width, height, predictedIou) {
    this.data = data;
    this.width = width;
    this.height = height;
    this.predictedIou = predictedIou;
  }

  /** Whether it has no pixel. */
  get isEmpty() {
    return !this.data.includes(1);
  }
}

/**
 * Sets the alpha of RGBA pixels, in place: opaque inside a mask, transparent outside.
 *
 * @template {Pixels} P
 * @param {P} pixels RGBA, of the mask's size.
 * @param {Mask} mask
 * @returns {P} The same pixels.
 */
export function cutOut(pixels, mask) {
  const { data } = pixels;
  if (data.length !== 4 * mask.data.length) {
    throw new SqueezesamError(`the mask is ${mask.width}x${mask.height}, the photo is not`);
  }
  for (let i = 0; i < mask.data.length; i++) data[4 * i + 3] = mask.data[i] ? 255 : 0;
  return pixels;
}

/** The masks that the network offers for one prompt, the one with the highest predicted IoU first. */
export class Prediction {
  #threshold;
  #photo;

  /**
   * @param {Float32Array[]} lowResMasks Logits, sxs each, in the network's order.
   * @param {ArrayLike<number>} predictedIous
   * @param {{ width: number, height: number }} photo
   * @param {{ mask_size: number, mask_threshold: number }} metadata
   * @param {Uint8Array | null} [blob] sxs; where nobody has clicked it chooses the mask.
   */
  constructor(lowResMasks, predictedIous, photo, metadata, blob = null) {
    const order = bestFirst(predictedIous);
    /** @type {readonly Float32Array[]} Logits, sxs each. */
    this.lowResMasks = order.map((index) => lowResMasks[index]);
    /** @type {readonly number[]} */
    this.predictedIous = order.map((index) => predictedIous[index]);
    /** Which one to show: the best, or, of the automatic start, the one most like the blob. */
    this.chosen = blob ? mostLikeBlob(this.lowResMasks, blob, metadata.mask_threshold) : 0;
    this.maskSize = metadata.mask_size;
    this.#threshold = metadata.mask_threshold;
    this.#photo = photo;
  }

  /** How many there are. */
  get count() {
    return this.lowResMasks.length;
  }

  /**
   * One of them at the photo's size, or at another one for display.
   *
   * @param {number} [index] 0 is the best; the one to show without it.
   * @param {{ width: number, height: number }} [size]
   * @returns {Mask}
   */
  mask(index = this.chosen, { width, height } = this.#photo) {
    if (!(index in this.lowResMasks)) {
      throw new SqueezesamError(`mask ${index} does not exist: there are ${this.count}`);
    }
    const data = enlargeMask(this.lowResMasks[index], this.maskSize, width, height, this.#threshold);
    return new Mask(data, width, height, this.predictedIous[index]);
  }
}

/**
 * Positions of predicted IoUs, the highest first; equal ones keep their order.
 *
 * @param {ArrayLike<number>} predictedIous
 * @returns {number[]}
 */
export function bestFirst(predictedIous) {
  return [...Array(predictedIous.length).keys()].sort((a, b) => predictedIous[b] - predictedIous[a]);
}

// ---- saliency ----

/** Relative difference under which two numbers are a tie, so that rounding never decides one. */
const TIE = 1e-9;
const LEVELS = 256;

/**
 * The sigmoid of logits in 256 steps, 0 to 1.
 *
 * @param {Float32Array} logits
 * @returns {Float32Array}
 */
export function saliencyOfLogits(logits) {
  return Float32Array.from(logits, (logit) => {
    const probability = 1 / (1 + Math.exp(-clamp(logit, -30, 30)));
    return roundHalfEven(probability * 255) / 255;
  });
}

/**
 * The five clicks on the most salient blob of a map, by the rule in docs/saliency.md.
 *
 * @param {Float32Array} saliency HxW.
 * @param {number} width
 * @param {number} height
 * @returns {SaliencyClicks}
 */
export function saliencyClicks(saliency, width, height) {
  if (saliency.length !== width * height || !saliency.length || !saliency.every(Number.isFinite)) {
    throw new SqueezesamError(`a saliency map must be ${width}x${height} finite numbers`);
  }
  const lowest = saliency.reduce((a, b) => Math.min(a, b));
  const highest = saliency.reduce((a, b) => Math.max(a, b));
  const levels = Uint8Array.from(saliency, (value) =>
    lowest === highest ? 0 : Math.min(Math.floor(((value - lowest) / (highest - lowest)) * LEVELS), LEVELS - 1));
  const split = otsuLevel(levels);
  const blob = salientBlob(saliency, levels.map((level) => (level > split ? 1 : 0)), width, height);
  const inside = saliency.filter((_, i) => blob[i]);
  const maximum = inside.reduce((a, b) => Math.max(a, b));
  return {
    pointCoords: clicksOn(blob, width, height),
    blob,
    area: inside.length,
    threshold: lowest + ((highest - lowest) * (split + 1)) / LEVELS,
    maximum,
    maximumCount: inside.filter((value) => value === maximum).length,
  };
}

/** The level after which Otsu's method splits; -1 where there is one level. @param {Uint8Array} levels */
function otsuLevel(levels) {
  const counts = new Float64Array(LEVELS);
  for (const level of levels) counts[level]++;
  const moment = counts.reduce((sum, count, level) => sum + count * level, 0);
  const variances = [];
  let [below, momentBelow] = [0, 0];
  for (let level = 0; level < LEVELS - 1; level++) {
    below += counts[level];
    momentBelow += counts[level] * level;
    const above = levels.length - below;
    const difference = momentBelow * above - (moment - momentBelow) * below;
    variances.push(difference ** 2 / Math.max(below * above, 1));
  }
  const best = Math.max(...variances);
  return best === 0 ? -1 : variances.findIndex((variance) => variance >= best * (1 - TIE));
}

/**
 * The 8-connected blob that holds the highest saliency, most often, then the largest, then the
 * first in reading order.
 *
 * @param {Float32Array} saliency
 * @param {Uint8Array} above
 * @param {number} width
 * @param {number} height
 */
function salientBlob(saliency, above, width, height) {
  const highest = saliency.reduce((a, b, i) => (above[i] ? Math.max(a, b) : a), -Infinity);
  const seen = new Uint8Array(above.length);
  /** @type {number[]} */
  let best = [];
  let bestCount = -1;
  for (let start = 0; start < above.length; start++) {
    if (!above[start] || seen[start]) continue;
    const pixels = connected(above, seen, start, width, height);
    const count = pixels.filter((pixel) => saliency[pixel] === highest).length;
    if (count > bestCount || (count === bestCount && pixels.length > best.length)) {
      [best, bestCount] = [pixels, count];
    }
  }
  const blob = new Uint8Array(above.length);
  for (const pixel of best) blob[pixel] = 1;
  return blob;
}

/** @param {Uint8Array} above @param {Uint8Array} seen @param {number} start @param {number} width @param {number} height */
function connected(above, seen, start, width, height) {
  const pixels = [start];
  seen[start] = 1;
  for (let next = 0; next < pixels.length; next++) {
    const [column, row] = [pixels[next] % width, Math.floor(pixels[next] / width)];
    for (let y = Math.max(row - 1, 0); y <= Math.min(row + 1, height - 1); y++) {
      for (let x = Math.max(column - 1, 0); x <= Math.min(column + 1, width - 1); x++) {
        const pixel = y * width + x;
        if (above[pixel] && !seen[pixel]) {
          seen[pixel] = 1;
          pixels.push(pixel);
        }
      }
    }
  }
  return pixels;
}

/** @param {Uint8Array} blob @param {number} width @param {number} height @returns {[number, number][]} */
function clicksOn(blob, width, height) {
  /** @type {{ x: number, y: number }[]} */
  const pixels = [];
  blob.forEach((value, i) => value && pixels.push({ x: i % width, y: Math.floor(i / width) }));
  const area = pixels.length;
  const centerX = pixels.reduce((sum, { x }) => sum + x, 0) / area;
  const centerY = pixels.reduce((sum, { y }) => sum + y, 0) / area;
  /** @type {[number, number][]} */
  const centers = [[centerX, centerY]];
  for (const down of halves(height, centerY)) {
    for (const across of halves(width, centerX)) {
      let [section, sumX, sumY] = [0, 0, 0];
      for (const { x, y } of pixels) {
        const share = across.shares[x] * down.shares[y];
        section += share;
        sumX += share * across.middles[x];
        sumY += share * down.middles[y];
      }
      centers.push(section <= area * TIE ? [centerX, centerY] : [sumX / section, sumY / section]);
    }
  }
  return centers.map(([x, y]) => movedInside(x, y, blob, pixels, width, height));
}

/** The part of each pixel on either side of a line: its share and its middle. @param {number} count @param {number} line */
function halves(count, line) {
  const positions = [...Array(count).keys()];
  const before = positions.map((position) => clamp(line - position + 0.5, 0, 1));
  return [
    { shares: before, middles: positions.map((position, i) => position - 0.5 + before[i] / 2) },
    { shares: before.map((share) => 1 - share), middles: positions.map((position, i) => position + 0.5 - (1 - before[i]) / 2 ) },
  ];
}

/**
 * The point itself where its pixel belongs to the blob, else the nearest pixel that does.
 *
 * @param {number} x
 * @param {number} y
 * @param {Uint8Array} blob
 * @param {{ x: number, y: number }[]} pixels
 * @param {number} width
 * @param {number} height
 * @returns {[number, number]}
 */
function movedInside(x, y, blob, pixels, width, height) {
  const [column, row] = [Math.min(Math.floor(x + 0.5), width - 1), Math.min(Math.floor(y + 0.5), height - 1)];
  if (blob[row * width + column]) return [x, y];
  // To the pixel's square: the resolution of the map does not change which one is nearest.
  const distances = pixels.map((pixel) =>
    Math.max(Math.abs(pixel.x - x) - 0.5, 0) ** 2 + Math.max(Math.abs(pixel.y - y) - 0.5, 0) ** 2);
  const least = distances.reduce((a, b) => Math.min(a, b)) * (1 + TIE) + TIE;
  const nearest = pixels[distances.findIndex((distance) => distance <= least)];
  return [nearest.x, nearest.y];
}

/**
 * Clicks of a map on the photo that the map covers whole.
 *
 * @param {readonly (readonly [number, number])[]} pointCoords
 * @param {{ width: number, height: number }} map
 * @param {{ width: number, height: number }} photo
 * @returns {[number, number][]}
 */
export function scaleClicks(pointCoords, map, photo) {
  return pointCoords.map(([x, y]) => [
    f32((f32(x) + 0.5) * (photo.width / map.width) - 0.5),
    f32((f32(y) + 0.5) * (photo.height / map.height) - 0.5),
  ]);
}

/**
 * The box around a blob, on the photo that the map covers whole.
 *
 * @param {Uint8Array} blob 1 where it is.
 * @param {{ width: number, height: number }} map
 * @param {{ width: number, height: number }} photo
 * @returns {Box}
 */
export function blobBox(blob, map, photo) {
  let [left, top, right, bottom] = [map.width, map.height, 0, 0];
  blob.forEach((value, i) => {
    if (!value) return;
    const [column, row] = [i % map.width, Math.floor(i / map.width)];
    [left, right] = [Math.min(left, column), Math.max(right, column + 1)];
    [top, bottom] = [Math.min(top, row), Math.max(bottom, row + 1)];
  });
  const [across, down] = [photo.width / map.width, photo.height / map.height];
  return [f32(left * across), f32(top * down), f32(right * across), f32(bottom * down)];
}

/**
 * The blob of a saliency map on the grid of the low-resolution masks.
 *
 * @param {Uint8Array} blob 1 where it is.
 * @param {{ width: number, height: number }} map
 * @param {number} side
 * @returns {Uint8Array} sxs, 0 or 1.
 */
export function blobOnGrid(blob, { width, height }, side) {
  /** @param {number} place @param {number} count */
  const under = (place, count) => Math.floor(((2 * place + 1) * count) / (2 * side));
  return Uint8Array.from({ length: side * side }, (_, i) =>
    blob[under(Math.floor(i / side), height) * width + under(i % side, width)]);
}

/**
 * Which mask is most like a blob: the one with the highest intersection over union, of equals the
 * first.
 *
 * @param {readonly Float32Array[]} lowResMasks Logits, sxs each, the best first.
 * @param {Uint8Array} blob sxs, from `blobOnGrid`.
 * @param {number} [threshold]
 * @returns {number}
 */
export function mostLikeBlob(lowResMasks, blob, threshold = 0) {
  const ious = lowResMasks.map((logits) => {
    let [both, either] = [0, 0];
    logits.forEach((logit, i) => {
      const inMask = logit > threshold ? 1 : 0;
      both += inMask & blob[i];
      either += inMask | blob[i];
    });
    return both / Math.max(either, 1);
  });
  return ious.indexOf(Math.max(...ious));
}

// ---- artifacts ----

/**
 * What an ONNX artifact says of itself.
 *
 * @param {Uint8Array} model The file.
 * @returns {Metadata}
 * @throws {SqueezesamError} It is cut off, no ONNX file, or not one of sqsam-export.
 */
export function readMetadata(model) {
  const stored = storedMetadata(model);
  if (stored === null) {
    throw new SqueezesamError("the model was not written by sqsam-export: it says nothing of itself");
  }
  return parseMetadata(stored);
}

/**
 * An artifact's metadata from their text.
 *
 * @param {string} text
 * @returns {Metadata}
 */
export function parseMetadata(text) {
  let metadata;
  try {
    metadata = JSON.parse(text);
  } catch {
    throw new SqueezesamError("the model's metadata are damaged");
  }
  if (metadata?.format_version !== 1) {
    throw new SqueezesamError(
      `the model's metadata have version ${metadata?.format_version}, and this module reads 1`);
  }
  const { task = "segmentation", prompts = null, mask_threshold = 0 } = metadata;
  const whole = /** @type {Metadata} */ ({ ...metadata, task, prompts, mask_threshold });
  const named = [whole.inputs, whole.outputs].every((specs) =>
    Array.isArray(specs) && specs.length && specs.every(isSpec));
  const sizes = [whole.image_size, whole.mask_size].every((size) => isCount(size) && size < 1 << 14);
  const resizes = ["stretch-bilinear", "stretch-bilinear-antialias"].includes(whole.resize);
  const drawn = task === "saliency" ? prompts === null : task === "segmentation" && areRules(prompts);
  if (!(named && sizes && resizes && drawn && typeof mask_threshold === "number")) {
    throw new SqueezesamError("the model's metadata are not those of a SqueezeSAM artifact");
  }
  return whole;
}

/** @param {unknown} value */
const isCount = (value) => Number.isInteger(value) && /** @type {number} */ (value) > 0;

/** @param {any} spec */
const isSpec = (spec) =>
  typeof spec?.name === "string" && ["float32", "uint8", "int8"].includes(spec.dtype) &&
  typeof spec.layout === "string" && Array.isArray(spec.shape) && spec.shape.every(isCount) &&
  spec.shape.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1) <= 1 << 28;

/** @param {any} rules */
const areRules = (rules) =>
  ["clicks-box", "box-clicks"].includes(rules?.map_order) && isCount(rules.max_clicks) &&
  Number.isInteger(rules.click_radius) && typeof rules.carve_background === "boolean" &&
  Number.isInteger(rules.marked_value ??= 255);

/**
 * The text under the key `sqsam` among an ONNX file's `metadata_props` (field 14 of `ModelProto`).
 * ONNX Runtime's JavaScript API does not give it.
 *
 * @param {Uint8Array} model
 */
function storedMetadata(model) {
  let isOnnx = false;
  for (const [field, content] of fields(model)) {
    if (field === 7) isOnnx = true;
    if (field !== 14) continue;
    const pair = new Map([...fields(content)]);
    const [key, value] = [1, 2].map((part) => decodeUtf8(pair.get(part) ?? new Uint8Array(0)));
    if (key === "sqsam") return value;
  }
  if (!isOnnx) throw new SqueezesamError("the model is no ONNX file");
  return null;
}

/** React Native has no TextDecoder. @param {Uint8Array} bytes */
function decodeUtf8(bytes) {
  let escaped = "";
  for (const byte of bytes) escaped += `%${byte.toString(16).padStart(2, "0")}`;
  return decodeURIComponent(escaped);
}

/**
 * The fields of a protobuf message that hold bytes, in their order.
 *
 * @param {Uint8Array} message
 * @returns {Generator<[number, Uint8Array]>}
 */
function* fields(message) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; factor < 2 ** 63; factor *= 128) {
      if (at >= message.length) throw cutOff();
      const byte = message[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    throw new SqueezesamError("the model is no ONNX file");
  };
  while (at < message.length) {
    const key = varint();
    const kind = key % 8;
    const length = { 0: 0, 1: 8, 2: -1, 5: 4 }[kind];
    if (length === undefined) throw new SqueezesamError("the model is no ONNX file");
    if (kind === 0) varint();
    const size = length < 0 ? varint() : length;
    if (at + size > message.length) throw cutOff();
    if (kind === 2) yield [Math.floor(key / 8), message.subarray(at, at + size)];
    at += size;
  }
}

const cutOff = () => new SqueezesamError("the model is cut off: fetch it again");

// ---- the segmenter ----

/** An indexed loop takes a fiftieth of what `every` takes. @param {Float32Array} values */
function allFinite(values) {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}

/**
 * Session options with ONNX Runtime's exact kernels, where Node.js runs on x86 without VNNI: the usual ones cut sums of
 * products off at 16 bits there. They take longer elsewhere. WebAssembly's sums are exact.
 *
 * @param {any} [options]
 */
function withExactSums(options) {
  const { arch, getBuiltinModule } = /** @type {any} */ (globalThis).process ?? {};
  if (arch !== "x64") return options;
  let flags = "";
  try {
    flags = getBuiltinModule("node:fs").readFileSync("/proc/cpuinfo", "latin1");
  } catch {
    // Not Linux: what is not known counts as without VNNI.
  }
  if (/\bavx(512)?_vnni\b/.test(flags)) return options;
  const session = { x64quantprecision: "1", ...options?.extra?.session };
  return { ...options, extra: { ...options?.extra, session } };
}

/** An artifact in a session of ONNX Runtime. */
class Artifact {
  #ort;
  #session;

  /** @param {Runtime} ort @param {RuntimeSession} session @param {Metadata} metadata */
  constructor(ort, session, metadata) {
    this.#ort = ort;
    this.#session = session;
    this.metadata = metadata;
  }

  /**
   * @param {Runtime} ort
   * @param {Uint8Array} model
   * @param {Metadata["task"]} task
   * @param {object} [options]
   */
  static async open(ort, model, task, options) {
    const metadata = readMetadata(model);
    if (metadata.task !== task) {
      throw new SqueezesamError(`the model '${metadata.preset}' is a ${metadata.task} network, not a ${task} network`);
    }
    return new Artifact(ort, await ort.InferenceSession.create(model, options), metadata);
  }

  /**
   * @param {ReturnType<typeof bindInputs>} inputs
   * @returns {Promise<Float32Array[]>} The outputs that the metadata name.
   */
  async run(inputs) {
    const feeds = Object.entries(inputs).map(([name, { dtype, data, shape }]) => [name, new this.#ort.Tensor(dtype, data, shape)]);
    const answer = await this.#session.run(Object.fromEntries(feeds));
    return this.metadata.outputs.map((spec) => {
      const output = answer[spec.name];
      if (output?.dims.join("x") !== spec.shape.join("x")) {
        throw new SqueezesamError(`the model's output '${spec.name}' is not ${spec.shape.join("x")}`);
      }
      if (!allFinite(output.data)) {
        throw new SqueezesamError(`the model's output '${spec.name}' holds numbers that are not finite`);
      }
      return output.data;
    });
  }

  release() {
    return this.#session.release();
  }
}

/** Cuts objects out of photos: one artifact, and the saliency network that starts without a click. */
export class Segmenter {
  #segmentation;
  #saliency;

  /** Use `Segmenter.open`. @param {Artifact} segmentation @param {Artifact | null} saliency */
  constructor(segmentation, saliency) {
    this.#segmentation = segmentation;
    this.#saliency = saliency;
    /** Why the wanted execution provider does not run it; empty where it does. */
    this.note = "";
  }

  /**
   * Opens artifacts that sqsam-export wrote for ONNX.
   *
   * @param {Runtime} ort ONNX Runtime, as it is imported.
   * @param {object} files
   * @param {Uint8Array} files.model The segmentation artifact's bytes.
   * @param {Uint8Array | null} [files.saliency] The saliency artifact's.
   * @param {object} [options] ONNX Runtime's session options: `executionProviders`,
   *   `intraOpNumThreads`.
   * @returns {Promise<Segmenter>}
   * @throws {SqueezesamError} A file is cut off or holds another network.
   */
  static async open(ort, { model, saliency = null }, options) {
    const exact = withExactSums(options);
    const segmentation = await Artifact.open(ort, model, "segmentation", exact);
    try {
      return new Segmenter(segmentation, saliency && (await Artifact.open(ort, saliency, "saliency", exact)));
    } catch (error) {
      await segmentation.release();
      throw error;
    }
  }

  /**
   * Opens artifacts on an execution provider that is kept only where it makes the masks of another
   * one: WebGPU has computed int8 wrongly without an error. Otherwise the other one runs them, and
   * `note` says why.
   *
   * @param {Runtime} ort
   * @param {{ model: Uint8Array, saliency: Uint8Array }} files
   * @param {object} wanted
   * @param {string} wanted.provider "webgpu", for one.
   * @param {string} wanted.reference "wasm" in a browser, "cpu" elsewhere.
   * @param {Pixels} wanted.probe A photo with an object in it.
   * @param {number} [wanted.minIou] Of both masks of the photo: the automatic start, and a click.
   * @returns {Promise<Segmenter>}
   */
  static async openChecked(ort, files, { provider, reference, probe, minIou = 0.99 }) {
    const trusted = await Segmenter.open(ort, files, { executionProviders: [reference] });
    let candidate;
    try {
      candidate = await Segmenter.open(ort, files, { executionProviders: [provider] });
      const iou = await agreement(trusted, candidate, probe);
      if (iou >= minIou) {
        await trusted.release();
        return candidate;
      }
      trusted.note = `${provider} makes other masks (IoU ${iou.toFixed(2)}): ${reference} runs them`;
    } catch (error) {
      trusted.note = `${provider} does not run the model (${error}): ${reference} does`;
    }
    await candidate?.release();
    return trusted;
  }

  /** What the segmentation artifact says of itself. */
  get metadata() {
    return this.#segmentation.metadata;
  }

  /**
   * A photo to cut objects out of. It is resized here, once; its pixels are not kept.
   *
   * @param {Pixels} pixels
   * @returns {SegmenterImage}
   */
  image(pixels) {
    return new SegmenterImage(this.#segmentation, this.#saliency, pixels);
  }

  /** Gives the sessions' memory back; nothing can be done with the segmenter afterwards. */
  async release() {
    await this.#segmentation.release();
    await this.#saliency?.release();
  }
}

/**
 * The lower IoU of the masks that two segmenters make of a photo: of the automatic start, and of a
 * click in the middle.
 *
 * @param {Segmenter} one
 * @param {Segmenter} other
 * @param {Pixels} pixels
 */
async function agreement(one, other, pixels) {
  const click = new Prompt().withClick((pixels.width - 1) / 2, (pixels.height - 1) / 2);
  const images = [one.image(pixels), other.image(pixels)];
  const ious = [];
  for (const prompt of [null, click]) {
    const [a, b] = [await images[0].mask(prompt), await images[1].mask(prompt)];
    let [both, either] = [0, 0];
    a.data.forEach((value, i) => {
      both += value & b.data[i];
      either += value | b.data[i];
    });
    ious.push(either ? both / either : 1);
  }
  return Math.min(...ious);
}

/** What belongs to one photo: its size and what the networks see of it. */
export class SegmenterImage {
  #segmentation;
  #saliency;
  #inputs;
  #saliencySquare;
  /** The run that reads the inputs now. @type {Promise<unknown>} */
  #running = Promise.resolve();
  /** @type {Promise<SaliencyClicks> | undefined} */
  #clicks;

  /** Use `Segmenter.image`. @param {Artifact} segmentation @param {Artifact | null} saliency @param {Pixels} pixels */
  constructor(segmentation, saliency, pixels) {
    this.width = pixels.width;
    this.height = pixels.height;
    this.#segmentation = segmentation;
    this.#saliency = saliency;
    const seen = segmentation.metadata;
    this.#inputs = new PhotoInputs(seen, stretch(pixels, seen.image_size, seen.resize));
    this.#saliencySquare = saliency && stretch(pixels, saliency.metadata.image_size);
  }

  /**
   * The masks that the network offers for a prompt.
   *
   * @param {Prompt} prompt
   * @returns {Promise<Prediction>}
   * @throws {SqueezesamError} The prompt is not valid (`validatePrompt`).
   */
  async predict(prompt) {
    return this.#predict(prompt, null);
  }

  /**
   * The masks of the automatic start: what is salient, before anybody has clicked.
   *
   * @returns {Promise<Prediction>} `chosen` says which one to show.
   */
  async predictAutomatic() {
    const { blob } = await this.automaticClicks();
    const grid = blobOnGrid(blob, this.#map, this.#segmentation.metadata.mask_size);
    return this.#predict(await this.automaticStart(), grid);
  }

  /** @param {Prompt} prompt @param {Uint8Array | null} blob */
  async #predict(prompt, blob) {
    const { metadata } = this.#segmentation;
    const valid = validatePrompt(prompt, this.width, this.height);
    const placed = placePrompt(valid, this.width, this.height, metadata);
    // One after another: the next prompt is drawn into the inputs that this run reads.
    const run = this.#running.then(() => this.#segmentation.run(this.#inputs.draw(placed)));
    this.#running = run.catch(() => {});
    const [logits, ious] = await run;
    const area = metadata.mask_size ** 2;
    const masks = Array.from(ious, (_, index) => logits.slice(index * area, (index + 1) * area));
    return new Prediction(masks, ious, this, metadata, blob);
  }

  /**
   * The best mask for a prompt, or the one of the automatic start, at the photo's size.
   *
   * @param {Prompt | null} [prompt]
   * @returns {Promise<Mask>}
   */
  async mask(prompt = null) {
    return (await (prompt ? this.predict(prompt) : this.predictAutomatic())).mask();
  }

  /**
   * The saliency clicks in pixels of the saliency map; the network runs when it is first asked.
   *
   * @returns {Promise<SaliencyClicks>}
   */
  automaticClicks() {
    this.#clicks ??= this.#findClicks();
    return this.#clicks;
  }

  /** Size of the saliency map. */
  get #map() {
    const side = this.#saliency?.metadata.mask_size ?? 0;
    return { width: side, height: side };
  }

  async #findClicks() {
    if (!this.#saliency || !this.#saliencySquare) {
      throw new SqueezesamError("the segmenter was opened without a saliency network");
    }
    const { inputs } = this.#saliency.metadata;
    const [logits] = await this.#saliency.run(bindInputs(inputs, this.#saliencySquare, null));
    return saliencyClicks(saliencyOfLogits(logits), this.#map.width, this.#map.height);
  }

  /**
   * The prompt of `predictAutomatic`: the saliency clicks and the box of their blob.
   *
   * @returns {Promise<Prompt>}
   */
  async automaticStart() {
    const { blob } = await this.automaticClicks();
    return (await this.automaticPrompt()).withBox(blobBox(blob, this.#map, this));
  }

  /**
   * The saliency clicks alone, for a person to correct: in the box, a click could not reach what
   * the blob has missed.
   *
   * @returns {Promise<Prompt>}
   */
  async automaticPrompt() {
    const { pointCoords } = await this.automaticClicks();
    const clicks = scaleClicks(pointCoords, this.#map, this);
    return new Prompt(clicks.map(([x, y]) => ({ x, y, label: 1 })));
  }

  /**
   * Which of a prompt's clicks the network is told of: it takes a few, and that of 2023 none on
   * the background.
   *
   * @param {Prompt} prompt
   * @returns {boolean[]}
   */
  usedClicks(prompt) {
    const { prompts: rules, inputs } = this.#segmentation.metadata;
    const kept = keptClicks(prompt.points.length, rules?.max_clicks ?? 0);
    const background = rules?.carve_background || inputs.some(({ name }) => name === "point_coords");
    return prompt.points.map(({ label }, index) => kept.includes(index) && (background || label === 1));
  }
}
