"""`paper` and the encoders of the SAM family on a CUDA GPU, in turns: one result file.

    python benchmarks/peers/gpu.py [--peers sam-vit-h,mobilesam] [--output benchmarks/results]

Needs a CUDA build of torch and the extra `peers`. SqueezeSAM is run whole, a peer as its image
encoder without neck and mask decoder; all weights are random.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from networks import PEERS, PeerNetwork

from sqsam_deploy.benchmark.cuda.grid import BATCHES, MODES, PRECISIONS, cases
from sqsam_deploy.benchmark.cuda.programs import Peer
from sqsam_deploy.benchmark.cuda.run import CudaPlan, measure_cuda, require_gpu
from sqsam_deploy.benchmark.resultfile import result_name, write_result


def fused(peer: PeerNetwork) -> Callable[[int], nn.Module]:
    """The peer with the fused attention that a GPU runs faster."""

    def build(size: int) -> nn.Module:
        network = peer.build(size)
        for module in network.modules():
            if hasattr(module, "fused_attn"):
                vars(module)["fused_attn"] = True
        return network

    return build


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peers", default="sam-vit-h,mobilesam,edgesam")
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--precisions", default=",".join(PRECISIONS))
    parser.add_argument("--batches", default=",".join(map(str, BATCHES)))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    peers = tuple(
        Peer(peer.name, peer.scope, peer.input_size, fused(peer))
        for peer in PEERS
        if peer.key in options.peers.split(",")
    )
    grid = cases(
        options.modes.split(","),
        options.precisions.split(","),
        [int(batch) for batch in options.batches.split(",")],
    )
    result = measure_cuda(
        CudaPlan("paper", grid, rounds=options.rounds, peers=peers), require_gpu()
    )
    options.output.mkdir(parents=True, exist_ok=True)
    print(write_result(options.output / result_name(result), result))


if __name__ == "__main__":
    main()
