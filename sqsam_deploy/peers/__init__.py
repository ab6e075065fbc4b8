"""Other networks of the SAM family, asked as this project's own are.

A `Peer` is one network in the files it was exported to, most often an encoder and a decoder; it is
read from their signatures alone. `open_peer` loads it. docs/peers.md has the forms that are read.
"""

from sqsam_deploy.peers.instances import InstanceSegmenter
from sqsam_deploy.peers.pairs import PairSegmenter, file_inputs
from sqsam_deploy.peers.peer import Decoder, Peer, parse_peer, read_peer

PeerSegmenter = PairSegmenter | InstanceSegmenter

__all__ = ["Peer", "PeerSegmenter", "file_inputs", "open_peer", "parse_peer", "read_peer"]


def open_peer(peer: Peer, threads: int | None = None) -> PeerSegmenter:
    """Loads a peer's files in ONNX Runtime.

    Raises:
        ArtifactError: A file cannot be loaded.
    """
    if isinstance(peer.decoder, Decoder):
        return PairSegmenter(peer, peer.decoder, threads)
    return InstanceSegmenter(peer, peer.decoder, threads)
