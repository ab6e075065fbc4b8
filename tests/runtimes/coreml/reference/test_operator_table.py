import pytest

from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.runtimes.coreml.reference.operators import find_operator, operator_names


def test_an_unknown_operator_is_named() -> None:
    with pytest.raises(ArtifactError, match="'lstm'"):
        find_operator("lstm")


def test_what_a_program_computes_is_told_from_its_attributes() -> None:
    row = find_operator("conv")
    assert row.tensors == {"x", "weight", "bias"}
    assert row.inputs - row.tensors == {"strides", "pad_type", "pad", "dilations", "groups"}
    assert find_operator("concat").tensors == {"values"}


def test_every_operator_has_the_inputs_coremltools_gives_it() -> None:
    from sqsam_deploy._internal.upstream.coremltools import coremltools

    coremltools()
    from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

    for name in operator_names():
        versions = SSAOpRegistry.core_ops[name]
        newest = versions[max(versions)]
        assert set(newest.input_spec.input_types) == find_operator(name).inputs, name
