"""The network inside what people save around it: wrappers, averaged weights, an optimizer."""

import logging
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from sqsam_deploy.checkpoint.key_names import ROOTS
from sqsam_deploy.errors import NOTICE, CheckpointError

_log = logging.getLogger(__name__)

#: Where a tensor lies: the keys of the dictionaries around it and its own, split at their dots.
_Place = tuple[str, ...]

#: Names that torch.compile, FSDP and activation checkpointing put into the middle of a key.
_TRANSPARENT = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
#: Entries that are no network. Lightning's WeightAveraging keeps the averaged weights in
#: `state_dict` and the raw ones in `current_model_state`.
_NO_NETWORK = re.compile(r"optim(izer|_|$)|(lr_)?sched|scaler|loops|current_model_state|averaging_")
_AVERAGED = {"ema", "average", "averaged", "averages", "avg", "swa", "shadow", "polyak"}
#: The largest preset has 400 tensors and its optimizer three times as many, and a pickle of 1 kB
#: can hold one dictionary a million times over.
_MAX_ENTRIES = 100_000
_MAX_DEPTH = 8


@dataclass(frozen=True)
class Part:
    """One network of a file.

    Attributes:
        name: Where it lies, like "model_ema" or "state_dict.model"; empty for a bare state dict.
        tensors: By key, without `name`.
    """

    name: str
    tensors: dict[str, Tensor]


@dataclass(frozen=True)
class _Leaf:
    key: str
    place: _Place
    value: Tensor


def find_network(content: object, path: Path) -> Part:
    """The network in a weights file's content; the averaged one where a file holds both.

    Raises:
        CheckpointError: There is no tensor, more than one network, or two tensors of one key.
    """
    if not isinstance(content, Mapping):
        kind = type(content).__name__
        raise CheckpointError(f"{path} holds a {kind}, not a state dict of named tensors")
    leaves = _leaves(content, path)
    if not leaves:
        keys = ", ".join(repr(key)[:40] for key in list(content)[:3]) or "none"
        raise CheckpointError(f"{path} holds no tensors by name (its keys: {keys})")
    networks = _networks(leaves)
    chosen = _chosen(networks, leaves, path)
    others = [place for place in networks if len(place) > len(chosen)]
    kept = [
        leaf
        for leaf in leaves
        if _lies_in(leaf.place, chosen)
        and not any(_lies_in(leaf.place, other) for other in others)
        and not (networks and _NO_NETWORK.match(leaf.place[0]))
    ]
    return Part(".".join(chosen), _unique(kept, len(chosen), path))


def _leaves(content: Mapping[object, object], path: Path) -> list[_Leaf]:
    """Every tensor of nested dictionaries, in the file's order."""
    found: list[_Leaf] = []
    visited = 0

    def visit(level: Mapping[object, object], around: tuple[str, ...]) -> None:
        nonlocal visited
        for key, value in level.items():
            visited += 1
            if visited > _MAX_ENTRIES or len(around) > _MAX_DEPTH:
                raise CheckpointError(f"{path} is no weights file: it nests too many dictionaries")
            name = (*around, key) if isinstance(key, str) else None
            if name and isinstance(value, Mapping):
                visit(value, name)
            elif name and isinstance(value, Tensor):
                place = tuple(p for p in ".".join(name).split(".") if p not in _TRANSPARENT)
                found.append(_Leaf(".".join(name), place, value))
            elif name and isinstance(value, list) and _is_averaged(name):
                # torch_ema and diffusers: the averages of the parameters, in their order.
                visit({str(index): item for index, item in enumerate(value)}, name)

    visit(content, ())
    return found


def _networks(leaves: list[_Leaf]) -> list[_Place]:
    """Places below which a network lies.

    What has less than half of the largest's tensors is a loss's or a metric's own encoder, unless
    it calls itself an average: part of one must not be passed over for the raw weights.
    """
    counts = Counter(
        place
        for leaf in leaves
        if (place := _around_network(leaf.place)) is not None
        and not _NO_NETWORK.match(leaf.place[0])
    )
    least = max(counts.values(), default=0) / 2
    return [place for place, count in counts.items() if count >= least or _is_averaged(place)]


def _around_network(place: _Place) -> _Place | None:
    return next((place[:index] for index, part in enumerate(place) if part in ROOTS), None)


def _chosen(networks: list[_Place], leaves: list[_Leaf], path: Path) -> _Place:
    # torch's AveragedModel keeps `n_averaged` beside its `module.`.
    counters = {leaf.place[:-1] for leaf in leaves if leaf.place[-1] == "n_averaged"}
    averaged = [p for p in networks if p and (_is_averaged(p) or p[:-1] in counters)]
    if not averaged:
        _refuse_nameless(leaves, path)
    candidates = averaged or networks or [()]
    if len(candidates) > 1:
        listed = ", ".join(sorted(".".join(place) or "the top level" for place in candidates))
        firsts = [next(leaf.key for leaf in leaves if _lies_in(leaf.place, p)) for p in candidates]
        raise CheckpointError(
            f"{path} holds {len(candidates)} networks ({listed}; their first tensors are "
            f"{', '.join(firsts)}): save the one to use alone"
        )
    if averaged and len(networks) > 1:
        message = "%s holds averaged weights beside raw ones: the averaged ones (%s) are taken"
        _log.log(NOTICE, message, path, ".".join(averaged[0]))
    return candidates[0]


def _refuse_nameless(leaves: list[_Leaf], path: Path) -> None:
    """Averages that cannot be matched with the network must not be passed over for raw weights."""
    for leaf in leaves:
        if _is_averaged(leaf.place[:-1]) and _around_network(leaf.place) is None:
            raise CheckpointError(
                f"{path} holds averaged weights under other names than the network's ({leaf.key}): "
                "copy them into the network and save its state_dict()"
            )


def _is_averaged(place: _Place) -> bool:
    return any(word in _AVERAGED for part in place for word in re.split(r"[_.-]", part.lower()))


def _lies_in(place: _Place, around: _Place) -> bool:
    return place[: len(around)] == around


def _unique(leaves: list[_Leaf], depth: int, path: Path) -> dict[str, Tensor]:
    """The tensors without what is around the network."""
    keys: dict[str, str] = {}
    for leaf in leaves:
        key = ".".join(leaf.place[depth:])
        if key in keys:
            raise CheckpointError(
                f"{path} holds the tensor {key} twice, as {keys[key]} and as {leaf.key}"
            )
        keys[key] = leaf.key
    return {".".join(leaf.place[depth:]): leaf.value for leaf in leaves}
