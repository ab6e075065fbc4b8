"""Tiny weight scales: moved into the input by a power of two, exactly."""

from collections.abc import Callable

import numpy as np
import torch
from torch.export import ExportedProgram

from sqsam_deploy.artifact.metadata import PrecisionName
from sqsam_deploy.quantization.calibration import network_inputs
from sqsam_deploy.runtimes.coreml.half_scales import SMALLEST_NORMAL, with_normal_scales
from sqsam_deploy.runtimes.coreml.programs import weights_only
from tests.runtimes.coreml.small_network import SMALL, Photo
from tests.runtimes.quantized_parameters import of_program

Programs = Callable[[PrecisionName], ExportedProgram]


def test_the_smallest_normal_is_that_of_float16() -> None:
    assert np.finfo(np.float16).smallest_normal == SMALLEST_NORMAL


def test_scales_become_normal_and_the_function_stays_the_same(
    program: Programs, photo: Photo
) -> None:
    inputs = network_inputs(*photo, SMALL)
    for original in (program("int8"), weights_only(program("int8"))):
        before = [scales for p in of_program(original) for scales in p.scales]
        assert min(before) < SMALLEST_NORMAL
        changed = with_normal_scales(original)
        after = [scales for p in of_program(changed) for scales in p.scales]
        assert min(after) >= SMALLEST_NORMAL
        with torch.inference_mode():
            expected, actual = original.module()(*inputs), changed.module()(*inputs)
        for a, b in zip(actual, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)
