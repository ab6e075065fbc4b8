"""Builds the peers and exports them as files that `sqsam-bench --peers` measures.

    python benchmarks/peers/build.py --output DIR [--only KEY ...] [--input-size N]

Each becomes an ONNX file by torch's dynamo exporter and, where XNNPACK takes it, a .pte. Networks
that need gigabytes are built only when they are named (--only sam-vit-h: 10 GB of memory). Needs
the extra `peers`; FastSAM also needs ultralytics, which is under the AGPL and not part of it.
"""

import argparse
import gc
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

sys.path.insert(0, str(Path(__file__).parent))
from networks import PEERS, PeerNetwork

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy.benchmark.macs import Work, count_work
from sqsam_deploy.benchmark.subjects import PEERS_NAME, PeerEntry, Peers

#: Protocol buffers hold 2 GB; networks beyond this keep their weights in a second file.
_LARGEST_ONNX = 1_800_000_000


def build(peer: PeerNetwork, folder: Path, input_size: int) -> Iterator[PeerEntry]:
    """Exports one peer; ExecuTorch is tried, and left out with a line on stderr where it fails."""
    torch.manual_seed(0)
    network = peer.build(input_size)
    inputs = (torch.randn(1, 3, input_size, input_size),)
    with torch.no_grad():
        program = torch.export.export(network, inputs)
    # Counted on what was traced: some networks keep what they computed at their first run.
    count = _work_on_shapes if peer.large else count_work
    work = count(program.module(), inputs)
    files = [_to_onnx(program, folder / f"{peer.key}.onnx", work)]
    if not peer.large:
        files += _to_executorch(program, folder / f"{peer.key}.pte")
    for path in files:
        yield PeerEntry(
            file=path.name,
            network=peer.name,
            scope=peer.scope,
            macs=work.macs,
            parameters=work.parameters,
            input_size=input_size,
        )


def _work_on_shapes(network: nn.Module, inputs: tuple[Tensor, ...]) -> Work:
    """Without computing anything: running the large ones would take minutes."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        return count_work(network, tuple(torch.empty(tensor.shape) for tensor in inputs))


def _to_onnx(program: torch.export.ExportedProgram, path: Path, work: Work) -> Path:
    exported = torch.onnx.export(program, dynamo=True, verbose=False)
    assert exported is not None, "torch returns a program where no file was asked for"
    exported.save(str(path), external_data=4 * work.parameters > _LARGEST_ONNX)
    return path


def _to_executorch(program: torch.export.ExportedProgram, path: Path) -> list[Path]:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    try:
        lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
        path.write_bytes(lowered.to_executorch().buffer)
    # Which operators a release lowers, and how it fails on others, is its own affair.
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        print(f"{path.name}: ExecuTorch does not lower it: {reason}", file=sys.stderr)
        return []
    return [path]


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
