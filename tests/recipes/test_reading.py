from pathlib import Path

import pytest

from sqsam_deploy.errors import UsageError
from sqsam_deploy.pipeline.targets import Target
from sqsam_deploy.recipes import read_recipe

#: Lines 1 to 5 of most recipes here.
HEAD = 'summary = "x"\n\n[[artifact]]\nruntime = "onnx"\nprecision = "int8"\n'


def _written(folder: Path, source: str | bytes) -> Path:
    path = folder / "mine.toml"
    path.write_bytes(source.encode() if isinstance(source, str) else source)
    return path


def test_every_key_arrives(tmp_path: Path) -> None:
    source = """
        summary = "Both"
        saliency = false
        [[artifact]]
        runtime = "coreml"
        precision = "int8"
        input_layout = "image"
        deployment_target = "iOS18"
        keep_float = ["decoder.levels.6*", "mask_head.*"]
        name = "float-end"
        options = { weight_encoding = "unsigned" }
        [[artifact]]
        runtime = "executorch"
        precision = "fp32"
    """
    recipe = read_recipe(_written(tmp_path, source))
    assert (recipe.name, recipe.summary, recipe.with_saliency) == ("mine", "Both", False)
    patterns = ("decoder.levels.6*", "mask_head.*")
    options = (("weight_encoding", "unsigned"),)
    assert recipe.targets == (
        Target("coreml", "int8", "image", "iOS18", patterns, "float-end", options),
        Target("executorch", "fp32"),
    )


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    source = b"\xef\xbb\xbf" + HEAD.replace("\n", "\r\n").encode()
    assert read_recipe(_written(tmp_path, source)).targets == (Target("onnx", "int8"),)


@pytest.mark.parametrize(
    ("source", "named"),
    [
        # Not TOML.
        (HEAD + "name =\n", "line 6"),
        (HEAD + "keep_float = [\n 'a',\n", "TOML"),
        (HEAD + 'runtime = "onnx"\n', "line 6"),
        (HEAD.encode() + b'name = "\xff"\n', "TOML"),
        ("#" * 70_000, "KiB"),
        ("a = " + "[" * 8_000 + "]" * 8_000, "TOML|no recipe"),
        ("a = " + "{a=" * 4_000 + "1" + "}" * 4_000, "TOML|no recipe"),
        ("summary = " + "1" * 5_000, "TOML"),
        (".".join(["a"] * 8_000) + " = 1", "summary"),
        ("[" + ".".join(["a"] * 8_000) + "]", "summary"),
        # Not a recipe.
        ("", "summary"),
        ('summary = "x"\n', "artifact"),
        ('summary = "x"\nartifact = []\n', "artifact"),
        ('summary = "x"\n[artifact]\n', "artifact"),
        ('summary = "x"\nartifact = [3]\n', "artifact.0"),
        ('summary = "a\\nb"\n' + HEAD[14:], "summary"),
        ("seed = 1\n" + HEAD, "seed"),
        ('saliency = "yes"\n' + HEAD, "saliency"),
        (HEAD + 'options = { weight_encoding = "signed" }\n', "artifact.0.options"),
        # Not an artifact.
        (HEAD[:-19], "artifact.0.precision"),
        (HEAD.replace("onnx", "tflite"), "artifact.0.runtime.*executorch-coreml"),
        (HEAD + "name = true\n", "artifact.0.name"),
        (HEAD + "keep_float = 'a'\n", "artifact.0.keep_float"),
        (HEAD + "keep_float = ['a', 3]\n", "artifact.0.keep_float.1"),
        (HEAD + 'keep_float = [""]\n', "artifact.0.keep_float.0"),
        # Nothing that could be built.
        (HEAD.replace("onnx", "executorch-coreml"), "artifact.0.precision.*fp16"),
        (HEAD + 'input_layout = "image"\n', "artifact.0.input_layout"),
        (HEAD + 'deployment_target = "iOS17"\n', "artifact.0.deployment_target"),
        (
            HEAD.replace("onnx", "coreml") + 'deployment_target = "iOS16"\n',
            "artifact.0.deployment_target.*iOS17",
        ),
        (
            HEAD.replace("int8", "fp16") + 'keep_float = ["decoder.*"]\n',
            "artifact.0.keep_float",
        ),
        (HEAD + 'name = "../x"\n', "artifact.0.name"),
        (HEAD + 'name = "fp16"\n', "artifact.0.name"),
        # Two files of one name.
        (HEAD + HEAD[14:], "artifact.1.name.*artifact.0"),
        (f'{HEAD}name = "x"\n{HEAD[14:]}name = "x"\n', "artifact.1.name.*artifact.0"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_with_its_key(
    source: str | bytes, named: str, tmp_path: Path
) -> None:
    path = _written(tmp_path, source)
    with pytest.raises(UsageError, match=named) as raised:
        read_recipe(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_same_name_for_two_runtimes_is_two_files(tmp_path: Path) -> None:
    second = HEAD[14:].replace("onnx", "executorch")
    source = f'{HEAD}name = "x"\n{second}name = "x"\n'
    assert len(read_recipe(_written(tmp_path, source)).targets) == 2


def test_a_folder_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.toml cannot be read: No such file"):
        read_recipe(tmp_path / "nothing.toml")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_recipe(tmp_path)
