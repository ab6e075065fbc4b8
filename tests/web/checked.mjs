// Execution providers that agree, that compute wrongly, and that fail: node checked.mjs FOLDER MODEL SALIENCY
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import { Segmenter, SqueezesamError, readMetadata } from "../../sqsam_deploy/web/squeezesam.js";

const [folder, ...paths] = process.argv.slice(2);
const real = createRequire(join(folder, "package.json"))("onnxruntime-node");
const [model, saliency] = paths.map((path) => new Uint8Array(readFileSync(path)));
let open = 0;
const ort = {
  Tensor: real.Tensor,
  InferenceSession: {
    async create(bytes, { executionProviders: [provider] }) {
      if (provider === "missing") throw new Error("no adapter");
      const session = await real.InferenceSession.create(bytes, { executionProviders: ["cpu"] });
      open++;
      return {
        async run(feeds) {
          const answer = await session.run(feeds);
          if (provider === "wrong" && answer.low_res_masks) {
            const { data, dims } = answer.low_res_masks;
            answer.low_res_masks = new real.Tensor("float32", data.map((logit) => -logit), dims);
          }
          return answer;
        },
        async release() {
          open--;
          return session.release();
        },
      };
    },
  },
};
const size = { width: 120, height: 90 };
const data = Uint8Array.from({ length: 3 * 120 * 90 }, (_, i) => {
  const [x, y] = [Math.floor(i / 3) % 120, Math.floor(i / 360)];
  return Math.hypot(x - 60, y - 45) < 25 ? [220, 40, 40][i % 3] : 60 + ((7 * x + 3 * y) % 30);
});
const probe = { data, ...size };
for (const [provider, note] of [["cpu", /^$/], ["wrong", /wrong makes other masks/], ["missing", /no adapter/]]) {
  const segmenter = await Segmenter.openChecked(ort, { model, saliency }, { provider, reference: "cpu", probe });
  assert.match(segmenter.note, note);
  assert.equal(open, 2, "the sessions that are not used are released");
  await segmenter.release();
  assert.equal(open, 0);
}
// Files that are no model, or another one, are refused before a session is made.
for (const wrong of [model.slice(0, -1000), model.slice(0, 200), new Uint8Array(8), Uint8Array.of(60, 33, 100, 111)]) {
  assert.throws(() => readMetadata(wrong), SqueezesamError);
}
await assert.rejects(Segmenter.open(ort, { model: saliency }), /saliency network/);
await assert.rejects(Segmenter.open(ort, { model, saliency: model }, { executionProviders: ["cpu"] }), SqueezesamError);
assert.equal(open, 0);
// x86 without VNNI gets exact kernels; an option of the caller's own comes first.
const options = [];
const recorder = {
  Tensor: real.Tensor,
  InferenceSession: {
    async create(_, given) {
      options.push(given);
      throw new Error("seen");
    },
  },
};
const own = { session: { x64quantprecision: "0" } };
for (const [arch, cpuinfo, extra, expected] of [
  ["x64", "flags : avx2 fma", undefined, "1"],
  ["x64", "flags : avx2 avx512_vnni fma", undefined, undefined],
  ["x64", null, undefined, "1"],
  ["arm64", null, undefined, undefined],
  ["x64", "flags : avx2", own, "0"],
]) {
  Object.defineProperty(process, "arch", { value: arch });
  process.getBuiltinModule = () => ({
    readFileSync() {
      if (cpuinfo === null) throw new Error("no such file");
      return cpuinfo;
    },
  });
  await assert.rejects(Segmenter.open(recorder, { model }, { extra }), /seen/);
  assert.equal(options.pop().extra?.session?.x64quantprecision, expected);
}
console.log("8 passed");
