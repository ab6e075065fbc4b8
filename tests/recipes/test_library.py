import os
from pathlib import Path

import pytest

from sqsam_deploy.errors import UsageError
from sqsam_deploy.recipes import bundled_recipes, find_recipe
from tests.fakes import own_runtimes

NAMES = [
    "all",
    "android-cpu",
    "android-litert",
    "iphone-cpu",
    "iphone-neural-engine",
    "iphone-small",
    "server-onnx",
]


def test_the_recipes_come_with_the_package() -> None:
    assert [recipe.name for recipe in bundled_recipes()] == NAMES


def test_all_builds_every_precision_of_every_runtime_of_the_default_install() -> None:
    built = {(target.runtime, target.precision) for target in find_recipe("all").targets}
    # The libraries of LiteRT contradict the others' and come with an extra.
    others = [each for each in own_runtimes() if each.name != "litert"]
    assert built == {(each.name, name) for each in others for name in each.precisions}


@pytest.mark.parametrize("name", ["iphone-cpu", "android-cpu"])
def test_phones_without_an_accelerator_get_xnnpack_int8(name: str) -> None:
    (target,) = find_recipe(name).targets
    assert (target.runtime, target.precision) == ("executorch", "int8")


def test_the_neural_engine_gets_w8a8_and_fp16_for_older_ones() -> None:
    targets = find_recipe("iphone-neural-engine").targets
    found = [(target.runtime, target.precision, target.lowest_ios) for target in targets]
    assert found == [("coreml", "int8", "iOS17"), ("coreml", "fp16", "iOS16")]


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=rf"no recipe 'iphone': choose from {', '.join(NAMES)}"):
        find_recipe("iphone")


def test_a_file_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = 'summary = "x"\n[[artifact]]\nruntime = "onnx"\nprecision = "fp32"\n'
    (tmp_path / "all.toml").write_text(source)
    monkeypatch.chdir(tmp_path)
    for name in ("all.toml", f".{os.sep}all.toml", str(tmp_path / "all.toml")):
        assert len(find_recipe(name).targets) == 1
    assert len(find_recipe("all").targets) > 1, "a file beside does not hide the bundled recipe"
