"""Builds the peers and exports them as files that `sqsam-bench --peers` measures.

    python benchmarks/peers/build.py --output DIR [--only KEY ...] [--input-size N]

Each becomes an ONNX file by torch's dynamo exporter and, where XNNPACK takes it, a .pte; and both
again in int8, each by its runtime's own way: ONNX Runtime's static quantization (QDQ, weights by
channel), and PT2E with ExecuTorch's XNNPACKQuantizer. What fails is left out with a line on stderr.
Networks that need gigabytes are built only when they are named (--only sam-vit-h: 10 GB of memory),
in float32 alone. Needs the extra `peers`; FastSAM also needs ultralytics, which is under the AGPL
and not part of it.
"""

import argparse
import gc
import logging
import math
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

sys.path.insert(0, str(Path(__file__).parent))
from networks import PEERS, PeerNetwork

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy.benchmark.macs import Work, count_work
from sqsam_deploy.benchmark.subjects import PEERS_NAME, PeerEntry, Peers
from sqsam_deploy.datasets import bundled_dataset, load_image
from sqsam_deploy.prompts import stretch_filtered
from sqsam_deploy.runtimes.onnx.session import session_options

#: Protocol buffers hold 2 GB; networks beyond this keep their weights in a second file.
_LARGEST_ONNX = 1_800_000_000
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


#: Photos that the int8 ranges are taken from, and one more that the output is compared on.
_CALIBRATED = 4


@dataclass(frozen=True)
class Built:
    """A file of a peer; see `PeerEntry`."""

    path: Path
    precision: str = "fp32"
    signal_to_noise: float | None = None


def build(peer: PeerNetwork, folder: Path, input_size: int) -> Iterator[PeerEntry]:
    """Exports one peer; what a runtime refuses is left out with a line on stderr."""
    torch.manual_seed(0)
    network = peer.build(input_size)
    inputs = (torch.randn(1, 3, input_size, input_size),)
    with torch.no_grad():
        program = torch.export.export(network, inputs)
    # Counted on what was traced: some networks keep what they computed at their first run.
    count = _work_on_shapes if peer.large else count_work
    work = count(program.module(), inputs)
    files = [Built(_to_onnx(program, folder / f"{peer.key}.onnx", work))]
    if not peer.large:
        photos = _photos(input_size)
        files += _tried(lambda: Built(_to_executorch(program, folder / f"{peer.key}.pte")))
        files += _tried(lambda: _quantized_onnx(files[0].path, photos))
        files += _tried(lambda: _quantized_executorch(program, folder, peer.key, photos))
    for built in files:
        yield PeerEntry(
            file=built.path.name,
            network=peer.name,
            scope=peer.scope,
            macs=work.macs,
            parameters=work.parameters,
            input_size=input_size,
            precision=built.precision,
            signal_to_noise=built.signal_to_noise,
        )


def _tried(make: Callable[[], Built]) -> list[Built]:
    try:
        return [make()]
    # What a release of a library takes, and how it fails on the rest, is its own affair.
    except Exception as error:
        print(f"left out: {str(error).strip().split(chr(10))[0]}", file=sys.stderr)
        return []


def _photos(size: int) -> list[Tensor]:
    """Bundled photos as these networks take them: 1x3xSxS, ImageNet's mean and deviation."""
    mean, deviation = (torch.tensor(each).view(3, 1, 1) for each in (_MEAN, _DEVIATION))
    records = bundled_dataset("calibration").images[: _CALIBRATED + 1]
    squares = (stretch_filtered(load_image(record), (size, size)) for record in records)
    pixels = (torch.from_numpy(square.copy()).permute(2, 0, 1) / 255 for square in squares)
    return [((image - mean) / deviation)[None] for image in pixels]


def _quantized_onnx(path: Path, photos: list[Tensor]) -> Built:
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._feeds = iter([{name: photo.numpy()} for photo in photos[:_CALIBRATED]])

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            return next(self._feeds, None)

    name = _session(path).get_inputs()[0].name
    output = path.with_name(f"{path.stem}-int8.onnx")
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(output),
            Reader(),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    before, after = (
        _session(each).run(None, {name: photos[-1].numpy()})[0] for each in (path, output)
    )
    return Built(output, "int8", _signal_to_noise(before, after))


def _session(path: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(
        str(path), session_options(None), providers=["CPUExecutionProvider"]
    )


def _quantized_executorch(
    program: torch.export.ExportedProgram, folder: Path, key: str, photos: list[Tensor]
) -> Built:
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    quantizer = XNNPACKQuantizer()
    quantizer.set_global(get_symmetric_quantization_config(is_per_channel=True))
    with torch.no_grad():
        prepared = prepare_pt2e(program.module(), quantizer)
        for photo in photos[:_CALIBRATED]:
            prepared(photo)
        converted = convert_pt2e(prepared)
        before, after = (each(photos[-1]).numpy() for each in (program.module(), converted))
        quantized = torch.export.export(converted, (photos[0],))
    path = _to_executorch(quantized, folder / f"{key}-int8.pte")
    return Built(path, "int8", _signal_to_noise(before, after))


def _signal_to_noise(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    """In dB; the weights are random, so it says whether anything is left, not how good it is."""
    noise = float(np.square(before - after).mean())
    return 10 * math.log10(float(np.square(before).mean()) / max(noise, 1e-30))


def _work_on_shapes(network: nn.Module, inputs: tuple[Tensor, ...]) -> Work:
    """Without computing anything: running the large ones would take minutes."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        return count_work(network, tuple(torch.empty(tensor.shape) for tensor in inputs))


def _to_onnx(program: torch.export.ExportedProgram, path: Path, work: Work) -> Path:
    exported = torch.onnx.export(program, dynamo=True, verbose=False)
    assert exported is not None, "torch returns a program where no file was asked for"
    exported.save(str(path), external_data=4 * work.parameters > _LARGEST_ONNX)
    return path


def _to_executorch(program: torch.export.ExportedProgram, path: Path) -> Path:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    path.write_bytes(lowered.to_executorch().buffer)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", "-o", type=Path, required=True)
    parser.add_argument("--only", action="append", choices=[peer.key for peer in PEERS])
    parser.add_argument("--input-size", type=int, help="another side, for a quick try")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
    chosen = [p for p in PEERS if (p.key in options.only if options.only else not p.large)]
    options.output.mkdir(parents=True, exist_ok=True)
    entries: list[PeerEntry] = []
    for peer in track(chosen, description="building"):
        entries += build(peer, options.output, options.input_size or peer.input_size)
        listing = Peers(peers=tuple(entries)).model_dump_json(indent=2)
        atomic_write(options.output / PEERS_NAME, listing.encode())
        gc.collect()


if __name__ == "__main__":
    main()
