import pytest

from sqsam_deploy.errors import UsageError
from sqsam_deploy.pipeline.targets import DEFAULT_RUNTIMES, Target, parse_runtimes, targets_for


def test_int8_brings_both_core_ml_variants() -> None:
    names = [t.file_name("nano") for t in targets_for(DEFAULT_RUNTIMES, ["int8"])]
    assert sorted(names) == [
        "nano-int8-weights.mlpackage",
        "nano-int8.mlpackage",
        "nano-int8.onnx",
        "nano-int8.pte",
    ]


def test_the_core_ml_delegate_is_a_pte_with_its_own_name() -> None:
    assert Target("executorch-coreml", "fp16").file_name("nano") == "nano-fp16-coreml.pte"


def test_an_unknown_runtime_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'tflite'.*executorch.*onnx"):
        parse_runtimes(["onnx", "tflite"])


def test_a_pair_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to build"):
        targets_for(["executorch-coreml"], ["fp32"])
