// The page's back end in the browser: ONNX Runtime in a worker, and no server.

/** A module with one 128-bit constant: valid where WebAssembly has SIMD. */
const SIMD = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 23, 1, 21, 0, 253, 12,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 26, 11);
/** More threads gain nothing on phones, whose further cores are slow. */
const MOST_THREADS = 4;
const CACHE = "squeezesam";

/** @param {{ models: object[], runtime: object, files: string[] }} about Of page.json. */
export async function start(about) {
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(SIMD)) {
    throw new Error("this browser has no WebAssembly SIMD: use one from 2023 or later");
  }
  const canBeOffline = await startServiceWorker();
  const backend = new Backend(about);
  await backend.choose(0);
  if (canBeOffline) backend.offline = keepOffline(about.files);
  return backend;
}

/**
 * A service worker answers without a network, and adds the headers that threads need where the
 * host does not send them: then the page loads once more. Browsers have none on plain HTTP.
 *
 * @returns {Promise<boolean>} Whether there is one.
 */
async function startServiceWorker() {
  if (!navigator.serviceWorker) return false;
  try {
    await navigator.serviceWorker.register("service-worker.js");
    await navigator.serviceWorker.ready;
  } catch {
    return false; // Refused: in a private window, or by the person's settings.
  }
  if (!crossOriginIsolated && !sessionStorage.getItem("reloaded")) {
    sessionStorage.setItem("reloaded", "once");
    location.reload();
    await new Promise(() => {});
  }
  sessionStorage.removeItem("reloaded");
  return true;
}

/** Puts all that the page needs into the cache that the service worker reads; whether it could. */
async function keepOffline(files) {
  try {
    await (await caches.open(CACHE)).addAll(["./", ...files]);
    return true;
  } catch {
    return false; // No room, or the host went away.
  }
}

class Backend {
  #about;
  #worker = null;
  #waiting = new Map();
  #number = 0;

  constructor(about) {
    this.#about = about;
    this.models = about.models.map(({ title }) => title);
  }

  /** Opens one of the page's models; the one before gives its memory back. */
  async choose(number) {
    const threads = crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS) : 1;
    try {
      await this.#open(number, threads);
    } catch (error) {
      // Safari on iOS has too little memory for threads, and says so only when they start.
      if (!error.memory || threads === 1) throw error;
      await this.#open(number, 1);
    }
  }

  async #open(number, threads) {
    const model = this.#about.models[number];
    await this.#end();
    this.#worker = new Worker("worker.js", { type: "module" });
    this.#worker.onmessage = ({ data }) => this.#hear(data);
    this.#worker.onerror = () => this.#hear({ id: null, error: "this browser cannot run the model" });
    const { runtime } = this.#about;
    await this.#ask("open", { model, runtime, threads });
    const why = crossOriginIsolated ? "" : ", as the host does not isolate the page";
    const count = threads === 1 ? `one thread${why}` : `${threads} threads`;
    this.title = `${model.title} in this browser: WebAssembly, ${count}`;
  }

  async #end() {
    if (!this.#worker) return;
    await this.#ask("close", {}).catch(() => null);
    this.#worker.terminate();
    this.#worker = null;
  }

  open(file) {
    return this.#ask("photo", { file });
  }

  mask(id, asked) {
    return this.#ask("mask", { id, asked });
  }

  async cutout(id) {
    return URL.createObjectURL(await this.#ask("cutout", { id }));
  }

  #ask(what, request) {
    const id = ++this.#number;
    this.#worker.postMessage({ id, what, request });
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  #hear({ id, value, error, memory }) {
    const answered = id === null ? [...this.#waiting.keys()] : [id];
    for (const number of answered) {
      const { resolve, reject } = this.#waiting.get(number) ?? {};
      this.#waiting.delete(number);
      if (error) reject?.(Object.assign(new Error(error), { memory }));
      else resolve?.(value);
    }
  }
}
