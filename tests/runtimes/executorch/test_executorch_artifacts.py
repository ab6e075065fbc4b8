from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sqsam_deploy.artifact.metadata import (
    ArtifactMetadata,
    PrecisionName,
    arrange_inputs,
)
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.model.config import ModelConfig
from sqsam_deploy.model.description import default_inputs, describe
from sqsam_deploy.quantization import export_fp32
from sqsam_deploy.runtimes.executorch import RUNTIME as EXECUTORCH
from tests.runtimes.quantized_parameters import (
    activation_scales_of_program,
    activation_scales_of_pte,
    of_program,
    of_pte,
    scales_by_weight,
)
from tests.tiny_network import TINIER, TINY, snr_db, tiny_calibration, tiny_folded, tiny_program


def _metadata(precision: PrecisionName, config: ModelConfig = TINY) -> ArtifactMetadata:
    return describe(
        config,
        runtime="executorch",
        precision=precision,
        weights_sha256="1" * 64,
        inputs=arrange_inputs(default_inputs(config), "nchw-float32"),
    )


@pytest.fixture(scope="module")
def int8_pte(tiny_artifact: Callable[[str], Path]) -> Path:
    return tiny_artifact("tiny-int8.pte")


def _run(path: Path, sample: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    session = EXECUTORCH.open_session(path, threads=1)
    names = [spec.name for spec in session.metadata.inputs]
    feeds = {name: value.numpy() for name, value in zip(names, sample, strict=True)}
    outputs = session.execute(feeds)
    return [torch.from_numpy(np.array(outputs[spec.name])) for spec in session.metadata.outputs]


def _agrees(path: Path, limit: float, config: ModelConfig = TINY) -> None:
    sample = next(iter(tiny_calibration(config)))
    expected = tiny_folded(config).network(*sample)
    for a, b in zip(expected, _run(path, sample), strict=True):
        assert snr_db(a, b) > limit


def test_int8_agrees_with_the_float_network(int8_pte: Path) -> None:
    _agrees(int8_pte, 35.0)


def test_float_artifacts_agree(tiny_artifact: Callable[[str], Path], tmp_path: Path) -> None:
    path, metadata = tmp_path / "tinier.pte", _metadata("fp32", TINIER)
    EXECUTORCH.lower(export_fp32(tiny_folded(TINIER)), metadata, path)
    _agrees(path, 100.0, TINIER)
    _agrees(tiny_artifact("tiny-fp16.pte"), 45.0)


def test_metadata_travels_inside(int8_pte: Path) -> None:
    assert EXECUTORCH.read_metadata(int8_pte) == _metadata("int8")


#: Half the last decimal that flatc prints.
PRINTED_STEP = 0.5001e-6


def test_weights_and_scales_are_those_of_the_program(int8_pte: Path) -> None:
    """Of interleaved pixels, `test_full_size.py` holds it."""
    expected = scales_by_weight(of_program(tiny_program("int8")))
    actual = scales_by_weight(of_pte(int8_pte))
    assert actual.keys() == expected.keys()
    for weight, scales in expected.items():
        np.testing.assert_array_equal(actual[weight], scales)


def test_activation_scales_are_those_of_the_program(int8_pte: Path) -> None:
    expected = np.array(sorted(activation_scales_of_program(tiny_program("int8"))))
    actual = np.array(sorted(activation_scales_of_pte(int8_pte)))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=PRINTED_STEP)


def test_xnnpack_takes_the_whole_network(int8_pte: Path) -> None:
    totals = {group.title: group.total for group in EXECUTORCH.inspect(int8_pte).operators}
    assert totals["outside the delegate"] == 0
    assert totals["calls of the delegate"] == 1


def test_no_local_path_is_in_the_file(int8_pte: Path) -> None:
    content = int8_pte.read_bytes()
    assert b"site-packages" not in content
    assert str(Path.cwd()).encode() not in content


@pytest.mark.parametrize("keep", [0, 3, 30, 1000, -1])
def test_a_file_that_is_cut_short_is_refused(int8_pte: Path, keep: int, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pte"
    cut.write_bytes(int8_pte.read_bytes()[:keep])
    for read in (EXECUTORCH.read_metadata, EXECUTORCH.open_session):
        with pytest.raises(ArtifactError, match=r"cut\.pte is (cut short|no ExecuTorch program)"):
            read(cut)


def test_a_damaged_program_is_refused(int8_pte: Path, tmp_path: Path) -> None:
    content = bytearray(int8_pte.read_bytes())
    content[48:400] = b"\xff" * 352
    damaged = tmp_path / "damaged.pte"
    damaged.write_bytes(content)
    with pytest.raises(ArtifactError, match="is damaged"):
        EXECUTORCH.open_session(damaged)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "photo.pte"
    foreign.write_bytes(b"\x89PNG\r\n\x1a\n" * 100)
    with pytest.raises(ArtifactError, match="is no ExecuTorch program"):
        EXECUTORCH.open_session(foreign)
    with pytest.raises(ArtifactError, match="does not exist"):
        EXECUTORCH.open_session(tmp_path / "missing.pte")
