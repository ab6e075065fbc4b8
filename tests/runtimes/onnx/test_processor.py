import pytest

from sqsam_deploy.runtimes.onnx.processor import saturates


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        ("x86_64", {"avx2", "avx512_vnni"}, False),  # EPYC 9004, Xeon since 2019.
        ("x86_64", {"avx2", "avx_vnni"}, False),  # Core since the 12th generation.
        ("x86_64", {"avx2"}, True),  # EPYC 7003.
        ("AMD64", set(), True),  # Windows: not known.
        ("aarch64", {"asimddp"}, False),
        ("arm64", set(), False),
    ],
)
def test_only_x86_without_vnni_saturates(machine: str, flags: set[str], expected: bool) -> None:
    assert saturates(machine, flags) is expected
