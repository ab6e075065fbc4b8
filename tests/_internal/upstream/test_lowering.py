"""The patches of a lowering: the same bytes with them and without, and every one is used."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from sqsam_deploy._internal.upstream.coremltools import (
    coremltools,
    restarted_names,
    unvalidated_passes,
)
from sqsam_deploy._internal.upstream.patches import Library, UpstreamWarning, warn_once
from sqsam_deploy._internal.upstream.torch import lean_tracing
from sqsam_deploy.runtimes import open_session
from sqsam_deploy.runtimes.coreml.programs import decomposed
from sqsam_deploy.runtimes.executorch import RUNTIME as EXECUTORCH
from sqsam_deploy.runtimes.executorch import lowering
from sqsam_deploy.runtimes.onnx import RUNTIME as ONNX
from tests.tiny_network import (
    FRAGMENT_SAMPLE,
    HalfFragment,
    fragment_metadata,
    fragment_program,
)


@pytest.fixture(autouse=True)
def _warnings_again() -> Iterator[None]:
    warn_once.cache_clear()
    yield
    warn_once.cache_clear()


def test_a_traced_program_is_the_same_and_calls_its_inputs_the_same() -> None:
    """By their names the quantizer knows pixels, whose step is 1 whatever the calibration holds."""
    plain = fragment_program()
    with lean_tracing():
        lean = fragment_program()
    assert str(lean.graph) == str(plain.graph)
    assert lean.graph_signature.user_inputs == ("pixels",)


def test_a_pte_has_the_same_bytes_without_the_patches(tmp_path: Path) -> None:
    """Torch's and ExecuTorch's, all eleven; the rewrite of XNNPACK's graph changes nothing here."""
    program, metadata = fragment_program(), fragment_metadata("executorch", "fp32")
    EXECUTORCH.load_compiler()
    with mock.patch("sqsam_deploy.runtimes.executorch.xnnpack.join_moves", lambda graph: 0):
        with warnings.catch_warnings():
            # A patch that is not used warns.
            warnings.simplefilter("error", UpstreamWarning)
            EXECUTORCH.lower(program, metadata, tmp_path / "patched.pte")
        with (
            mock.patch.object(Library, "installed", "99.0"),
            pytest.warns(UpstreamWarning, match="99.0 was not tried") as caught,
        ):
            EXECUTORCH.lower(program, metadata, tmp_path / "plain.pte")
    assert (tmp_path / "patched.pte").read_bytes() == (tmp_path / "plain.pte").read_bytes()
    assert len({str(each.message) for each in caught}) == 11


def test_an_onnx_file_has_the_same_bytes_where_every_rule_is_tried_at_every_node(
    tmp_path: Path,
) -> None:
    program, metadata = fragment_program(), fragment_metadata("onnx", "fp32")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UpstreamWarning)
        ONNX.lower(program, metadata, tmp_path / "patched.onnx")
    with (
        mock.patch.object(Library, "installed", "99.0"),
        pytest.warns(UpstreamWarning, match="onnxscript 99.0 was not tried"),
    ):
        ONNX.lower(program, metadata, tmp_path / "plain.onnx")
    assert (tmp_path / "patched.onnx").read_bytes() == (tmp_path / "plain.onnx").read_bytes()


def test_an_fp16_pte_is_half_as_large_and_gives_the_same_numbers(tmp_path: Path) -> None:
    program, metadata = fragment_program(HalfFragment), fragment_metadata("executorch", "fp16")
    half, full = tmp_path / "half.pte", tmp_path / "full.pte"
    EXECUTORCH.lower(program, metadata, half)
    with mock.patch.object(lowering, "half_weights", nullcontext):
        EXECUTORCH.lower(program, metadata, full)
    weights = sum(values.numel() for values in program.state_dict.values())
    assert full.stat().st_size - half.stat().st_size > 1.5 * weights
    feeds = {"pixels": FRAGMENT_SAMPLE[0].numpy()}
    expected, actual = (open_session(path).execute(feeds) for path in (full, half))
    np.testing.assert_array_equal(actual["low_res_masks"], expected["low_res_masks"])


def _converted(*patches: AbstractContextManager[None]) -> bytes:
    """The ML Program of a conversion, as its serialized specification."""
    ct = coremltools()
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), ExitStack() as stack:
            warnings.simplefilter("error", UpstreamWarning)
            for each in patches:
                stack.enter_context(each)
            model = ct.convert(
                decomposed(fragment_program()),
                source="pytorch",
                convert_to="mlprogram",
                minimum_deployment_target=ct.target.iOS17,
                skip_model_load=True,
            )
    finally:
        logging.disable(logging.NOTSET)
    return bytes(model.get_spec().SerializeToString(deterministic=True))


def test_a_package_has_the_same_bytes_unvalidated_and_after_another() -> None:
    patched = _converted(restarted_names(), unvalidated_passes())
    # coremltools itself starts again behind a conversion ...
    assert _converted() == patched
    # ... and counts on behind a program that was only built.
    _build_a_program()
    assert _converted(restarted_names()) == patched


def _build_a_program() -> None:
    coremltools()
    from coremltools.converters.mil import Builder

    @Builder.program(input_specs=[Builder.TensorSpec(shape=(1, 2))])
    def program(x: object) -> object:
        return Builder.relu(x=Builder.add(x=x, y=1.0))

    assert program.functions
