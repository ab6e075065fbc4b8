import pytest

from sqsam_deploy.errors import UsageError
from sqsam_deploy.pipeline.targets import (
    Target,
    default_runtimes,
    find_collision,
    parse_runtimes,
    targets_beside,
    targets_for,
)


def test_int8_brings_both_core_ml_variants() -> None:
    names = [t.file_name("nano") for t in targets_for(default_runtimes(), ["int8"])]
    assert sorted(names) == [
        "nano-int8-weights.mlpackage",
        "nano-int8.mlpackage",
        "nano-int8.onnx",
        "nano-int8.pte",
    ]


def test_the_core_ml_delegate_is_a_pte_with_its_own_name() -> None:
    assert Target("executorch-coreml", "fp16").file_name("nano") == "nano-fp16-coreml.pte"


def test_a_name_takes_the_precisions_place() -> None:
    assert Target("onnx", "int8", name="float-end").file_name("nano") == "nano-float-end.onnx"


def test_an_unknown_runtime_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'tflite'.*executorch.*onnx"):
        parse_runtimes(["onnx", "tflite"])


def test_a_pair_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to build"):
        targets_for(["executorch-coreml"], ["fp32"])


def test_everything_the_command_line_asks_for_can_be_built() -> None:
    for target in targets_for((*default_runtimes(), "executorch-coreml"), ["fp32", "fp16", "int8"]):
        assert target.problem() is None


@pytest.mark.parametrize(
    ("target", "key"),
    [
        (Target("tflite", "int8"), "runtime"),
        (Target("executorch-coreml", "int8"), "precision"),
        (Target("onnx", "int4"), "precision"),
        (Target("coreml", "fp16", input_layout="nchw-float32"), "input_layout"),
        (Target("executorch", "fp32", input_layout="nhwc-uint8"), "input_layout"),
        (Target("executorch", "int8", deployment_target="iOS17"), "deployment_target"),
        (Target("coreml", "int8-weights", deployment_target="iOS16"), "deployment_target"),
        (Target("coreml", "palettized-4bit", deployment_target="iOS17"), "deployment_target"),
        # ExecuTorch's Core ML backend begins with iOS 16, Core ML's ML Programs with 15.
        (Target("executorch-coreml", "fp16", deployment_target="iOS16"), "deployment_target"),
        (Target("coreml", "int8", options=(("weight_encoding", "packed"),)), "options"),
        (Target("coreml", "fp16", options=(("weight_encoding", "signed"),)), "options"),
        (Target("onnx", "int8", options=(("compute_units", "all"),)), "options"),
        (Target("onnx", "fp32", keep_float=("decoder.*",)), "keep_float"),
        (Target("onnx", "fp32", name="x" * 41), "name"),
        (Target("onnx", "fp32", name="a--b"), "name"),
    ],
)
def test_what_cannot_be_built_is_traced_to_its_field(target: Target, key: str) -> None:
    problem = target.problem()
    assert problem is not None
    assert problem.key == key


def test_core_ml_has_a_lowest_ios_and_others_none() -> None:
    assert Target("coreml", "fp16", deployment_target="iOS15").problem() is None
    assert Target("coreml", "fp16", deployment_target="iOS15").lowest_ios == "iOS15"
    assert Target("executorch-coreml", "fp16").lowest_ios == "iOS17"
    assert Target("coreml", "palettized-4bit").lowest_ios == "iOS18"
    assert Target("onnx", "fp16").lowest_ios is None


def test_targets_share_a_program_whatever_the_runtime_and_the_order_of_patterns() -> None:
    a = Target("onnx", "int8", keep_float=("b.*", "a.*"))
    b = Target("coreml", "int8-weights", keep_float=("a.*", "b.*", "a.*"))
    assert a.program == b.program != Target("onnx", "int8").program


def test_two_targets_of_one_file_name_collide() -> None:
    targets = [Target("onnx", "int8"), Target("onnx", "fp32"), Target("onnx", "int8", name="x")]
    assert find_collision(targets) is None
    other = Target("onnx", "int8", keep_float=("decoder.*",))
    assert find_collision([*targets, other]) == (0, 3)


def test_saliency_is_built_once_for_targets_that_differ_in_the_other_network_only() -> None:
    kept = Target("coreml", "int8", keep_float=("decoder.*",), name="float-decoder")
    older = Target("coreml", "fp16", deployment_target="iOS15", name="older")
    found = targets_beside([kept, Target("coreml", "int8"), Target("coreml", "fp16"), older])
    assert [target.file_name("saliency") for target in found] == [
        "saliency-int8.mlpackage",
        "saliency-fp16.mlpackage",
        "saliency-older.mlpackage",
    ]
    assert all(target.keep_float == () for target in found)


def test_options_that_are_left_out_have_their_defaults() -> None:
    unsigned = Target("coreml", "int8", options=(("weight_encoding", "unsigned"),))
    assert unsigned.problem() is None
    assert unsigned.all_options == {"weight_encoding": "unsigned"}
    assert Target("executorch-coreml", "fp16").all_options == {"compute_units": "cpu_and_ne"}
    assert Target("onnx", "fp32").all_options == {}
