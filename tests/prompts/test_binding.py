"""Prompts drawn one after another into the inputs of one photo."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqsam_deploy.artifact.metadata import arrange_inputs
from sqsam_deploy.model.config import NANO, RELEASE_2023_12
from sqsam_deploy.model.description import default_inputs
from sqsam_deploy.prompts import Prompt, encode_prompt
from sqsam_deploy.prompts.binding import PhotoInputs, bind_inputs

HW = (300, 500)
POINTS = st.lists(
    st.tuples(st.integers(-20, 520), st.integers(-20, 320), st.integers(0, 1)), max_size=4
)
BOXES = st.none() | st.tuples(
    st.integers(0, 250), st.integers(0, 150), st.integers(250, 500), st.integers(150, 300)
)


def _prompt(points, box) -> Prompt:
    table = np.array(points, np.float32).reshape(-1, 3)
    return Prompt(table[:, :2].copy(), table[:, 2].astype(np.int64), box)


@pytest.mark.parametrize("config", [NANO, RELEASE_2023_12], ids=lambda config: config.name)
@pytest.mark.parametrize("layout", ["nchw-float32", "nhwc-uint8", "nhwc-int8", "image"])
@settings(max_examples=15, deadline=None)
@given(prompts=st.lists(st.tuples(POINTS, BOXES), min_size=1, max_size=5))
def test_each_prompt_gives_the_inputs_that_it_gives_alone(layout, config, prompts):
    specs = arrange_inputs(default_inputs(config), layout)
    size = config.image_size
    square = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    inputs = PhotoInputs(specs, square, config)
    for points, box in prompts:
        prompt = _prompt(points, box)
        drawn = inputs.draw(prompt, HW)
        alone = bind_inputs(specs, square, encode_prompt(prompt, HW, config))
        assert list(drawn) == list(alone) == [spec.name for spec in specs]
        for name, value in alone.items():
            np.testing.assert_array_equal(drawn[name], value)
            assert drawn[name].dtype == value.dtype
            assert drawn[name].flags.c_contiguous
