"""How the choices of int8 quantization change quality: the tables of docs/quantization.md.

    python benchmarks/quantization.py [--checkpoint F] [--images 16] [--scheme NAME ...]

Every scheme is calibrated on the bundled calibration photos and compared with the float network
on the bundled sample photos or another data set (four prompts each: a click, a box, both,
nothing), and with the first scheme, prompt by prompt.
"""

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from sqsam_deploy._internal.geometry import mask_iou
from sqsam_deploy.checkpoint import load_checkpoint
from sqsam_deploy.datasets import bundled_dataset, open_dataset
from sqsam_deploy.evaluation.bounds import interval, photo_means
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
    "equalization": QuantizationScheme(refinements=("equalization",)),
    "bias correction": QuantizationScheme(refinements=("bias correction",)),
    "both": QuantizationScheme(refinements=("equalization", "bias correction")),
}


@dataclass(frozen=True)
class Answers:
    """A scheme against the float network, prompt by prompt.

    Attributes:
        ious: Of the best mask with the float network's.
        snr_db: Of all logits of a prompt.
        iou_errors: Largest error of a predicted IoU.
        worst_layers: Three layers with the lowest signal-to-noise ratio.
    """

    ious: list[float]
    snr_db: list[float]
    iou_errors: list[float]
    worst_layers: str


def measure(scheme: QuantizationScheme, folded: FoldedModel, probes: list[Probe]) -> Answers:
    calibration = build_calibration(bundled_dataset("calibration"), folded.config)
    quantized = quantize(folded, calibration, scheme)
    module = quantized.program.module()
    ious, snr_db, iou_errors = [], [], []
    for probe in track(probes, description="comparing", transient=True):
        with torch.inference_mode():
            masks, iou = module(*network_inputs(probe.image, probe.prompt, folded.config))
        best = int(probe.expected.iou_predictions.argmax())
        expected, actual = probe.expected.low_res_masks, masks[0].numpy()
        ious.append(mask_iou(actual[best] > 0, expected[best] > 0))
        noise = np.square(actual - expected, dtype=np.float64).sum()
        snr_db.append(float(10 * np.log10(np.square(expected, dtype=np.float64).sum() / noise)))
        iou_errors.append(float(np.abs(iou[0].numpy() - probe.expected.iou_predictions).max()))
    worst = ", ".join(f"{x.name} {x.snr_db:.0f}" for x in quantized.layers[:3])
    return Answers(ious, snr_db, iou_errors, worst)


def gain(values: list[float], first: list[float], probes: list[Probe], factor: float) -> str:
    """Mean over photos of the difference to the first scheme, with its 95% interval."""
    differences = [factor * (a - b) for a, b in zip(values, first, strict=True)]
    found = interval(photo_means(differences, [str(probe.record.path) for probe in probes]))
    return f"{found.mean:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


def rows(names: list[str], checkpoint: str, dataset: Path | None, images: int) -> Iterator[str]:
    loaded = load_checkpoint(checkpoint)
    folded = fold(loaded.model)
    photos = bundled_dataset("sample") if dataset is None else open_dataset(dataset)
    probes = make_probes(itertools.islice(photos, images), TorchSession(loaded), loaded.config)
    yield f"{loaded.name}, {images} photos, {len(probes)} prompts"
    yield (
        "| scheme | mean IoU | lowest | gain, points | logits (dB) | lowest | gain (dB) "
        "| IoU head, largest error | worst |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    first: Answers | None = None
    for name in names:
        q = measure(SCHEMES[name], folded, probes)
        first = first or q
        yield (
            f"| {name} | {np.mean(q.ious):.4f} | {min(q.ious):.3f} "
            f"| {gain(q.ious, first.ious, probes, 100)} "
            f"| {np.mean(q.snr_db):.1f} | {min(q.snr_db):.1f} "
            f"| {gain(q.snr_db, first.snr_db, probes, 1)} "
            f"| {max(q.iou_errors):.3f} | {q.worst_layers} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", default="paper", help="bundled weights by name, or a file")
    parser.add_argument("--dataset", type=Path, help="photos with masks to compare on")
    parser.add_argument("--images", type=int, default=16, help="how many of them")
    parser.add_argument("--scheme", action="append", choices=SCHEMES, help="all by default")
    chosen = parser.parse_args()
    names = chosen.scheme or list(SCHEMES)
    for line in rows(names, chosen.checkpoint, chosen.dataset, chosen.images):
        print(line, flush=True)


if __name__ == "__main__":
    main()
