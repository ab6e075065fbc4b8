"""Artifacts with random weights, for measuring latency: it does not depend on the weights.

    python benchmarks/random_artifacts.py paper --output DIR [--runtime NAME] [--precision NAME]

The weights are drawn at random and the norms are calibrated on the bundled photos, so that
activations have ordinary ranges. The masks mean nothing, so agreement with the float network is
recorded and not asked for. Never ship these.
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path

import torch

from sqsam_deploy._internal.progress import shown_steps
from sqsam_deploy.benchmark.random_network import random_network
from sqsam_deploy.checkpoint.saving import save_checkpoint
from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.model.network import SqueezeSAM
from sqsam_deploy.networks.precisions import PRECISIONS
from sqsam_deploy.pipeline.request import ExportRequest
from sqsam_deploy.pipeline.targets import default_runtimes, parse_runtimes, targets_for
from sqsam_deploy.quantization import build_calibration
from sqsam_deploy.report.export import export, step_count

#: Photos the norms and the int8 ranges see, and how many inputs a norm sees at once: the deepest
#: map has one pixel, of which alone a norm learns nothing.
_PHOTOS, _BATCH = 4, 4


def calibrated_network(preset_name: str) -> SqueezeSAM:
    """Random weights, and norms with the statistics that photos give them."""
    network = random_network(preset_name)
    samples = build_calibration(bundled_dataset("calibration"), network.config, size=_PHOTOS)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # A plain mean over all samples.
    network.train()
    with torch.no_grad():
        for batch in zip(*[iter(samples)] * _BATCH, strict=False):
            image, maps, *points = (torch.cat(tensors) for tensors in zip(*batch, strict=True))
            coords, labels = points or (torch.zeros(len(image), 1, 2), torch.zeros(len(image), 1))
            network(image, maps, coords, labels)
    return network.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("preset")
    parser.add_argument("--output", "-o", type=Path, required=True)
    parser.add_argument("--runtime", action="append", default=[], help="may be repeated")
    parser.add_argument("--precision", action="append", default=[], help="may be repeated")
    options = parser.parse_args()
    runtimes = parse_runtimes(options.runtime) or default_runtimes()
    targets = targets_for(runtimes, options.precision or ["fp32", "fp16", "int8"])
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / f"random-{options.preset}.safetensors"
        save_checkpoint(calibrated_network(options.preset), weights, {"license": "random weights"})
        PRECISIONS.update(
            {name: dataclasses.replace(entry, limit=0.0) for name, entry in PRECISIONS.items()}
        )
        request = ExportRequest(
            targets, options.output, weights, calibration_size=_PHOTOS, with_saliency=False
        )
        with shown_steps(step_count(request)) as steps:
            export(request, steps)


if __name__ == "__main__":
    main()
