export type Pixels = {
    /**
     * RGBA or RGB, interleaved, row by row; alpha is
     * not looked at.
     */
    data: Uint8Array | Uint8ClampedArray;
    width: number;
    height: number;
};
export type Click = {
    x: number;
    y: number;
    /**
     * 1 on the object, 0 on the background, -1 no click.
     */
    label: number;
};
export type Box = readonly [number, number, number, number];
export type TensorSpec = {
    name: string;
    /**
     * int8 holds pixel values minus 128.
     */
    dtype: "float32" | "uint8" | "int8";
    shape: number[];
    /**
     * "NCHW", "NHWC", "image", "NxPx2", "NxP", "NxM" or "NxMxHxW".
     */
    layout: string;
};
export type PromptRules = {
    map_order: "clicks-box" | "box-clicks";
    /**
     * In pixels of the network's square.
     */
    click_radius: number;
    marked_value: number;
    /**
     * Whether a background click cuts its disc out of the box.
     */
    carve_background: boolean;
    max_clicks: number;
};
export type Metadata = {
    format_version: number;
    task: "segmentation" | "saliency";
    preset: string;
    runtime: string;
    precision: string;
    weights_sha256: string;
    /**
     * Side of the square that the network sees.
     */
    image_size: number;
    /**
     * Side of the low-resolution masks.
     */
    mask_size: number;
    resize: "stretch-bilinear" | "stretch-bilinear-antialias";
    /**
     * None in a saliency network.
     */
    prompts: PromptRules | null;
    mask_threshold: number;
    inputs: TensorSpec[];
    outputs: TensorSpec[];
};
export type EncodedPrompt = {
    /**
     * 2xSxS, in the artifact's order.
     */
    promptMaps: Uint8Array;
    /**
     * Px2, (x, y) in pixels of the network's square.
     */
    pointCoords: Float32Array;
    /**
     * P: the clicks, then the box's corners (2, 3), then -1.
     */
    pointLabels: Float32Array;
};
export type PlacedPrompt = {
    clicks: Click[];
    /**
     * The box's: x0, y0, x1, y1.
     */
    corners: number[] | null;
};
export type Channel = {
    data: Float32Array | Uint8Array | Int8Array;
    start: number;
    step: number;
};
export type Region = {
    left: number;
    top: number;
    right: number;
    bottom: number;
};
export type SaliencyClicks = {
    /**
     * (x, y) in pixels of the map.
     */
    pointCoords: [number, number][];
    /**
     * 1 where the most salient blob is.
     */
    blob: Uint8Array;
    /**
     * Pixels of the blob.
     */
    area: number;
    /**
     * Lowest saliency that belongs to a blob.
     */
    threshold: number;
    /**
     * Highest saliency.
     */
    maximum: number;
    /**
     * Pixels of the blob that have it.
     */
    maximumCount: number;
};
export type Runtime = {
    InferenceSession: {
        create(model: Uint8Array, options?: any): Promise<RuntimeSession>;
    };
    Tensor: new (type: any, data: any, dims: readonly number[]) => any;
};
export type RuntimeSession = {
    run: (feeds: any) => Promise<any>;
    release: () => Promise<void>;
};
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
export declare class SqueezesamError extends Error {
    /** @param {string} sentence */
    constructor(sentence: string);
}
/** Clicks and a box on a photo; a value that never changes. */
export declare class Prompt {
    /** @type {readonly Click[]} */
    points: readonly Click[];
    /** @type {Box | null} */
    box: Box | null;
    /**
     * @param {readonly Click[]} [points] The clicks, the latest last.
     * @param {Box | null} [box]
     */
    constructor(points?: readonly Click[], box?: Box | null);
    /**
     * The prompt with one more click.
     *
     * @param {number} x
     * @param {number} y
     * @param {number} [label] 1 on the object, 0 on the background.
     */
    withClick(x: number, y: number, label?: number): Prompt;
    /**
     * The prompt without one of its clicks; -1 is the latest.
     *
     * @param {number} index
     */
    withoutClick(index: number): Prompt;
    /**
     * The prompt with another box, or without one.
     *
     * @param {Box | null} box
     */
    withBox(box: Box | null): Prompt;
}
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
export declare function validatePrompt(prompt: Prompt, width: number, height: number): Prompt;
/**
 * Positions of the clicks that count, of so many: the first, which says what is meant, and the
 * latest, which correct what is still wrong.
 *
 * @param {number} count
 * @param {number} maxClicks
 * @returns {number[]}
 */
export declare function keptClicks(count: number, maxClicks: number): number[];
/**
 * A prompt as the artifact takes it: scaled to the network's square, drawn, and listed.
 *
 * @param {Prompt} prompt From `validatePrompt`.
 * @param {number} width Of the photo.
 * @param {number} height Of the photo.
 * @param {{ image_size: number, prompts: PromptRules | null }} metadata Of the artifact.
 * @returns {EncodedPrompt}
 */
export declare function encodePrompt(prompt: Prompt, width: number, height: number, metadata: {
    image_size: number;
    prompts: PromptRules | null;
}): EncodedPrompt;
/**
 * The photo stretched to the network's square, without letterbox.
 *
 * @param {Pixels} pixels
 * @param {number} size Side of the square.
 * @param {Metadata["resize"]} [resize] "stretch-bilinear-antialias" is Pillow's BILINEAR, first the
 *   width and then the height; "stretch-bilinear" is torch's `interpolate`.
 * @returns {Uint8Array} SxSx3, RGB.
 */
export declare function stretch(pixels: Pixels, size: number, resize?: Metadata["resize"]): Uint8Array;
/**
 * Photo and prompt as the artifact's inputs, by name.
 *
 * @param {readonly TensorSpec[]} specs
 * @param {Uint8Array} image SxSx3, from `stretch`.
 * @param {EncodedPrompt | null} prompt None for a saliency network.
 * @returns {Record<string, { dtype: TensorSpec["dtype"], data: Float32Array | Uint8Array | Int8Array, shape: number[] }>}
 */
export declare function bindInputs(specs: readonly TensorSpec[], image: Uint8Array, prompt: EncodedPrompt | null): Record<string, {
    dtype: TensorSpec["dtype"];
    data: Float32Array | Uint8Array | Int8Array;
    shape: number[];
}>;
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
export declare function enlargeMask(logits: Float32Array, side: number, width: number, height: number, threshold?: number): Uint8Array;
/** A mask at the size of a photo, or at another size. */
export declare class Mask {
    data: Uint8Array<ArrayBufferLike>;
    width: number;
    height: number;
    predictedIou: number;
    /**
     * @param {Uint8Array} data HxW, 0 or 1.
     * @param {number} width
     * @param {number} height
     * @param {number} predictedIou What the network expects of it.
     */
    constructor(data: Uint8Array, width: number, height: number, predictedIou: number);
    /** Whether it has no pixel. */
    get isEmpty(): boolean;
}
/**
 * Sets the alpha of RGBA pixels, in place: opaque inside a mask, transparent outside.
 *
 * @template {Pixels} P
 * @param {P} pixels RGBA, of the mask's size.
 * @param {Mask} mask
 * @returns {P} The same pixels.
 */
export declare function cutOut<P extends Pixels>(pixels: P, mask: Mask): P;
/** The masks that the network offers for one prompt, the one with the highest predicted IoU first. */
export declare class Prediction {
    #private;
    /** @type {readonly Float32Array[]} Logits, sxs each. */
    lowResMasks: readonly Float32Array[];
    /** @type {readonly number[]} */
    predictedIous: readonly number[];
    /** Which one to show: the best, or, of the automatic start, the one most like the blob. */
    chosen: number;
    maskSize: number;
    /**
     * @param {Float32Array[]} lowResMasks Logits, sxs each, in the network's order.
     * @param {ArrayLike<number>} predictedIous
     * @param {{ width: number, height: number }} photo
     * @param {{ mask_size: number, mask_threshold: number }} metadata
     * @param {Uint8Array | null} [blob] sxs; where nobody has clicked it chooses the mask.
     */
    constructor(lowResMasks: Float32Array[], predictedIous: ArrayLike<number>, photo: {
        width: number;
        height: number;
    }, metadata: {
        mask_size: number;
        mask_threshold: number;
    }, blob?: Uint8Array | null);
    /** How many there are. */
    get count(): number;
    /**
     * One of them at the photo's size, or at another one for display.
     *
     * @param {number} [index] 0 is the best; the one to show without it.
     * @param {{ width: number, height: number }} [size]
     * @returns {Mask}
     */
    mask(index?: number, { width, height }?: {
        width: number;
        height: number;
    }): Mask;
}
/**
 * Positions of predicted IoUs, the highest first; equal ones keep their order.
 *
 * @param {ArrayLike<number>} predictedIous
 * @returns {number[]}
 */
export declare function bestFirst(predictedIous: ArrayLike<number>): number[];
/**
 * The sigmoid of logits in 256 steps, 0 to 1.
 *
 * @param {Float32Array} logits
 * @returns {Float32Array}
 */
export declare function saliencyOfLogits(logits: Float32Array): Float32Array;
/**
 * The five clicks on the most salient blob of a map, by the rule in docs/saliency.md.
 *
 * @param {Float32Array} saliency HxW.
 * @param {number} width
 * @param {number} height
 * @returns {SaliencyClicks}
 */
export declare function saliencyClicks(saliency: Float32Array, width: number, height: number): SaliencyClicks;
/**
 * Clicks of a map on the photo that the map covers whole.
 *
 * @param {readonly (readonly [number, number])[]} pointCoords
 * @param {{ width: number, height: number }} map
 * @param {{ width: number, height: number }} photo
 * @returns {[number, number][]}
 */
export declare function scaleClicks(pointCoords: readonly (readonly [number, number])[], map: {
    width: number;
    height: number;
}, photo: {
    width: number;
    height: number;
}): [number, number][];
/**
 * The box around a blob, on the photo that the map covers whole.
 *
 * @param {Uint8Array} blob 1 where it is.
 * @param {{ width: number, height: number }} map
 * @param {{ width: number, height: number }} photo
 * @returns {Box}
 */
export declare function blobBox(blob: Uint8Array, map: {
    width: number;
    height: number;
}, photo: {
    width: number;
    height: number;
}): Box;
/**
 * The blob of a saliency map on the grid of the low-resolution masks.
 *
 * @param {Uint8Array} blob 1 where it is.
 * @param {{ width: number, height: number }} map
 * @param {number} side
 * @returns {Uint8Array} sxs, 0 or 1.
 */
export declare function blobOnGrid(blob: Uint8Array, { width, height }: {
    width: number;
    height: number;
}, side: number): Uint8Array;
/**
 * Which mask is most like a blob: the one with the highest intersection over union, of equals the
 * first.
 *
 * @param {readonly Float32Array[]} lowResMasks Logits, sxs each, the best first.
 * @param {Uint8Array} blob sxs, from `blobOnGrid`.
 * @param {number} [threshold]
 * @returns {number}
 */
export declare function mostLikeBlob(lowResMasks: readonly Float32Array[], blob: Uint8Array, threshold?: number): number;
/**
 * What an ONNX artifact says of itself.
 *
 * @param {Uint8Array} model The file.
 * @returns {Metadata}
 * @throws {SqueezesamError} It is cut off, no ONNX file, or not one of sqsam-export.
 */
export declare function readMetadata(model: Uint8Array): Metadata;
/**
 * An artifact's metadata from their text.
 *
 * @param {string} text
 * @returns {Metadata}
 */
export declare function parseMetadata(text: string): Metadata;
/** An artifact in a session of ONNX Runtime. */
declare class Artifact {
    #private;
    metadata: Metadata;
    /** @param {Runtime} ort @param {RuntimeSession} session @param {Metadata} metadata */
    constructor(ort: Runtime, session: RuntimeSession, metadata: Metadata);
    /**
     * @param {Runtime} ort
     * @param {Uint8Array} model
     * @param {Metadata["task"]} task
     * @param {object} [options]
     */
    static open(ort: Runtime, model: Uint8Array, task: Metadata["task"], options?: object): Promise<Artifact>;
    /**
     * @param {ReturnType<typeof bindInputs>} inputs
     * @returns {Promise<Float32Array[]>} The outputs that the metadata name.
     */
    run(inputs: ReturnType<typeof bindInputs>): Promise<Float32Array[]>;
    release(): Promise<void>;
}
/** Cuts objects out of photos: one artifact, and the saliency network that starts without a click. */
export declare class Segmenter {
    #private;
    /** Why the wanted execution provider does not run it; empty where it does. */
    note: string;
    /** Use `Segmenter.open`. @param {Artifact} segmentation @param {Artifact | null} saliency */
    constructor(segmentation: Artifact, saliency: Artifact | null);
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
    static open(ort: Runtime, { model, saliency }: {
        model: Uint8Array;
        saliency?: Uint8Array | null;
    }, options?: object): Promise<Segmenter>;
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
    static openChecked(ort: Runtime, files: {
        model: Uint8Array;
        saliency: Uint8Array;
    }, { provider, reference, probe, minIou }: {
        provider: string;
        reference: string;
        probe: Pixels;
        minIou?: number;
    }): Promise<Segmenter>;
    /** What the segmentation artifact says of itself. */
    get metadata(): Metadata;
    /**
     * A photo to cut objects out of. It is resized here, once; its pixels are not kept.
     *
     * @param {Pixels} pixels
     * @returns {SegmenterImage}
     */
    image(pixels: Pixels): SegmenterImage;
    /** Gives the sessions' memory back; nothing can be done with the segmenter afterwards. */
    release(): Promise<void>;
}
/** What belongs to one photo: its size and what the networks see of it. */
export declare class SegmenterImage {
    #private;
    width: number;
    height: number;
    /** Use `Segmenter.image`. @param {Artifact} segmentation @param {Artifact | null} saliency @param {Pixels} pixels */
    constructor(segmentation: Artifact, saliency: Artifact | null, pixels: Pixels);
    /**
     * The masks that the network offers for a prompt.
     *
     * @param {Prompt} prompt
     * @returns {Promise<Prediction>}
     * @throws {SqueezesamError} The prompt is not valid (`validatePrompt`).
     */
    predict(prompt: Prompt): Promise<Prediction>;
    /**
     * The masks of the automatic start: what is salient, before anybody has clicked.
     *
     * @returns {Promise<Prediction>} `chosen` says which one to show.
     */
    predictAutomatic(): Promise<Prediction>;
    /**
     * The best mask for a prompt, or the one of the automatic start, at the photo's size.
     *
     * @param {Prompt | null} [prompt]
     * @returns {Promise<Mask>}
     */
    mask(prompt?: Prompt | null): Promise<Mask>;
    /**
     * The saliency clicks in pixels of the saliency map; the network runs when it is first asked.
     *
     * @returns {Promise<SaliencyClicks>}
     */
    automaticClicks(): Promise<SaliencyClicks>;
    /**
     * The prompt of `predictAutomatic`: the saliency clicks and the box of their blob.
     *
     * @returns {Promise<Prompt>}
     */
    automaticStart(): Promise<Prompt>;
    /**
     * The saliency clicks alone, for a person to correct: in the box, a click could not reach what
     * the blob has missed.
     *
     * @returns {Promise<Prompt>}
     */
    automaticPrompt(): Promise<Prompt>;
    /**
     * Which of a prompt's clicks the network is told of: it takes a few, and that of 2023 none on
     * the background.
     *
     * @param {Prompt} prompt
     * @returns {boolean[]}
     */
    usedClicks(prompt: Prompt): boolean[];
}
export {};
