"""coremltools' own evaluation of MIL operators on constants: an independent implementation."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sqsam_deploy._internal.upstream.coremltools import coremltools
from sqsam_deploy.runtimes.coreml.reference.operators import find_operator


def by_coremltools(kind: str, **inputs: Any) -> np.ndarray:
    """The values of one operator by coremltools' value inference."""
    ct = coremltools()
    from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its usual name

    results = []

    @mb.program(input_specs=[mb.TensorSpec(shape=(1,))], opset_version=ct.target.iOS18)
    def program(x: Any) -> Any:
        results.append(getattr(mb, kind)(**inputs))
        return mb.identity(x=x)

    value = results[0].val
    if value is None:
        value = results[0].op.materialized_val_inference()
    assert value is not None, f"coremltools cannot evaluate {kind}"
    return np.asarray(value)


def by_executor(kind: str, **inputs: Any) -> np.ndarray:
    """The values for the same inputs by the reference executor's table."""
    row = find_operator(kind)
    bound = {name: _tensors(v) if name in row.tensors else _plain(v) for name, v in inputs.items()}
    return row.function(**bound).numpy()


def _tensors(value: Any) -> Tensor | list[Tensor]:
    if isinstance(value, (list, tuple)):
        return [torch.tensor(np.asarray(item)) for item in value]
    return torch.tensor(np.asarray(value))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
