"""How int8 ranges and float exceptions change quality: the table of docs/quantization.md.

    python benchmarks/quantization.py [--checkpoint F] [--images 16] [--scheme NAME ...]

Every scheme is calibrated on the bundled calibration photos and compared with the float network
on the bundled sample photos (four prompts each: a click, a box, both, nothing).
"""

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from rich.progress import track

from sqsam_deploy.checkpoint import load_checkpoint
from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.folding import FoldedModel, fold
from sqsam_deploy.networks.agreement import Probe, make_probes
from sqsam_deploy.quantization import QuantizationScheme, build_calibration, quantize
from sqsam_deploy.quantization.calibration import network_inputs
from sqsam_deploy.runtimes.torch import TorchSession

TOKEN_PATH = ("transformer*", "mask_head*")
SCHEMES = {
    "min-max": QuantizationScheme("min-max"),
    "percentile": QuantizationScheme("percentile"),
    "mse": QuantizationScheme("mse"),
    "min-max, transformer in float": QuantizationScheme("min-max", ("transformer*",)),
    "min-max, mask head in float": QuantizationScheme("min-max", ("mask_head*",)),
    "min-max, tokens in float": QuantizationScheme("min-max", TOKEN_PATH),
    "min-max, patch embedding in float": QuantizationScheme("min-max", ("*patch_embedding*",)),
    "min-max, last block in float": QuantizationScheme("min-max", ("decoder.levels.6.conv*",)),
}


@dataclass(frozen=True)
class Quality:
    """A scheme against the float network: agreement of the best mask, and of its logits."""

    mean_iou: float
    min_iou: float
    logits_snr_db: float
    max_iou_difference: float
    worst_layers: str


def measure(scheme: QuantizationScheme, folded: FoldedModel, probes: list[Probe]) -> Quality:
    calibration = build_calibration(bundled_dataset("calibration"), folded.config)
    quantized = quantize(folded, calibration, scheme)
    module = quantized.program.module()
    ious, signal, noise, iou_differences = [], 0.0, 0.0, []
    for probe in track(probes, description="comparing", transient=True):
        with torch.inference_mode():
            masks, iou = module(*network_inputs(probe.image, probe.prompt, folded.config))
        best = int(probe.expected.iou_predictions.argmax())
        expected = probe.expected.low_res_masks[best].astype(np.float64)
        actual = masks[0, best].double().numpy()
        union = np.count_nonzero((expected > 0) | (actual > 0))
        both = np.count_nonzero((expected > 0) & (actual > 0))
        ious.append(both / union if union else 1.0)
        signal += float(np.square(expected).sum())
        noise += float(np.square(expected - actual).sum())
        difference = iou[0].numpy() - probe.expected.iou_predictions
        iou_differences.append(float(np.abs(difference).max()))
    worst = ", ".join(f"{x.name} {x.snr_db:.0f}" for x in quantized.layers[:3])
    snr = 10 * np.log10(signal / noise)
    return Quality(float(np.mean(ious)), min(ious), float(snr), max(iou_differences), worst)


def rows(names: list[str], checkpoint: str, images: int) -> Iterator[str]:
    loaded = load_checkpoint(checkpoint)
    folded = fold(loaded.model)
    records = itertools.islice(bundled_dataset("sample"), images)
    probes = make_probes(records, TorchSession(loaded), loaded.config)
    yield f"{loaded.name}, {images} photos, {len(probes)} prompts"
    yield "| scheme | mean IoU | lowest IoU | logits SNR (dB) | IoU head, largest error | worst |"
    yield "|---|---|---|---|---|---|"
    for name in names:
        q = measure(SCHEMES[name], folded, probes)
        yield (
            f"| {name} | {q.mean_iou:.4f} | {q.min_iou:.3f} | {q.logits_snr_db:.1f} | "
            f"{q.max_iou_difference:.3f} | {q.worst_layers} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", default="paper", help="bundled weights by name, or a file")
    parser.add_argument("--images", type=int, default=16, help="sample photos to compare on")
    parser.add_argument("--scheme", action="append", choices=SCHEMES, help="all by default")
    chosen = parser.parse_args()
    for line in rows(chosen.scheme or list(SCHEMES), chosen.checkpoint, chosen.images):
        print(line, flush=True)


if __name__ == "__main__":
    main()
