"""How MIL's `pad_type` becomes a number of elements before and after each spatial axis."""

from collections.abc import Sequence

from sqsam_deploy.errors import ArtifactError

#: Before and after, for each spatial axis.
Pads = tuple[tuple[int, int], ...]


def resolve_pads(
    pad_type: str,
    pad: Sequence[int] | None,
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> Pads:
    """Pads of a convolution or pooling.

    "same" needs ceil(size / stride) outputs; an odd total goes behind, with "same_lower" before.

    Raises:
        ArtifactError: An unknown `pad_type`.
    """
    if pad_type == "valid":
        return tuple((0, 0) for _ in sizes)
    if pad_type == "custom":
        given = list(pad) if pad is not None else [0] * (2 * len(sizes))
        return tuple(zip(given[::2], given[1::2], strict=True))
    if pad_type not in ("same", "same_lower"):
        raise ArtifactError(f"the reference executor does not know the pad_type '{pad_type}'")
    totals = [
        max((-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0)
        for size, k, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True)
    ]
    lower = pad_type == "same_lower"
    small_first = [(total // 2, total - total // 2) for total in totals]
    return tuple((after, before) if lower else (before, after) for before, after in small_first)


def torch_pads(pads: Pads) -> list[int]:
    """The same as `torch.nn.functional.pad` takes them, last axis first."""
    return [amount for before_after in reversed(pads) for amount in before_after]
