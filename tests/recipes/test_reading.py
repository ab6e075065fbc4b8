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
        [[artifact]]
        runtime = "executorch"
        precision = "fp32"
    """
    recipe = read_recipe(_written(tmp_path, source))
    assert (recipe.name, recipe.summary, recipe.with_saliency) == ("mine", "Both", False)
    patterns = ("decoder.levels.6*", "mask_head.*")
    assert recipe.targets == (
        Target("coreml", "int8", "image", "iOS18", patterns, "float-end"),
        Target("executorch", "fp32"),
    )


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    source = b"\xef\xbb\xbf" + HEAD.replace("\n", "\r\n").encode()
    assert read_recipe(_written(tmp_path, source)).targets == (Target("onnx", "int8"),)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        # Not TOML.
        (HEAD + "name =\n", "line 6: no valid TOML in 'name =': invalid value"),
        (HEAD + "keep_float = [\n 'a',\n", "line 7: the file ends in the middle of a statement"),
        (HEAD + 'runtime = "onnx"\n', "line 6: no valid TOML in 'runtime = \"onnx\"': cannot over"),
        (HEAD.encode() + b'name = "\xff"\n', "line 6: the text is not UTF-8"),
        ("#" * 70_000, "is no recipe: it has more than 64 KiB"),
        # Not a recipe.
        ("", "'summary': the key is missing"),
        ('summary = "x"\n', "'artifact': the key is missing"),
        ('summary = "x"\nartifact = []\n', "line 2: 'artifact': there should be at least one"),
        ('summary = "x"\n[artifact]\n', "line 2: 'artifact': it should be tables, each beginning"),
        ('summary = "x"\nartifact = [3]\n', "line 2: artifact 1: it should be a table"),
        ('summary = "a\\nb"\n' + HEAD[14:], "line 1: 'summary': it should be one line of at most"),
        ("sumary = 'x'\n" + HEAD, "line 1: 'sumary': there is no such key: did you mean 'summary'"),
        ("seed = 1\n" + HEAD, "line 1: 'seed': there is no such key: choose from summary, sal"),
        ('saliency = "yes"\n' + HEAD, "line 1: 'saliency': it should be true or false, not 'yes'"),
        # Not an artifact.
        (HEAD[:-19], "line 3: 'precision' of artifact 1: the key is missing"),
        (
            HEAD.replace("precision", "precison"),
            "line 5: 'precison' of artifact 1: there is no such key: did you mean 'precision'?",
        ),
        (
            HEAD.replace("onnx", "tflite"),
            "line 4: 'runtime' of artifact 1: it should be 'executorch', 'coreml', 'onnx' or "
            "'executorch-coreml', not 'tflite'",
        ),
        (HEAD + "name = true\n", "line 6: 'name' of artifact 1: it should be a string, not true"),
        (HEAD + "keep_float = 'a'\n", "line 6: 'keep_float' of artifact 1: it should be an array"),
        (
            HEAD + "keep_float = [\n  'a',\n  3,\n]\n",
            "line 6: entry 2 of 'keep_float' of artifact 1: it should be a string, not 3",
        ),
        (
            HEAD + 'keep_float = [""]\n',
            "line 6: entry 1 of 'keep_float' of artifact 1: it should not be empty",
        ),
        # Nothing that could be built.
        (
            HEAD.replace("onnx", "executorch-coreml"),
            "line 5: 'precision' of artifact 1: executorch-coreml has no int8: choose from fp16",
        ),
        (
            HEAD + '\n# how\ninput_layout = "image"\n',
            "line 8: 'input_layout' of artifact 1: int8 of onnx does not take 'image': choose from",
        ),
        (
            HEAD + 'deployment_target = "iOS17"\n',
            "line 6: 'deployment_target' of artifact 1: onnx has no deployment target, only Core "
            "ML has: leave it out",
        ),
        (
            HEAD.replace("onnx", "coreml") + 'deployment_target = "iOS16"\n',
            "line 6: 'deployment_target' of artifact 1: int8 of coreml needs iOS17 or later, not "
            "iOS16",
        ),
        (
            HEAD.replace("int8", "fp16") + 'keep_float = ["decoder.*"]\n',
            "line 6: 'keep_float' of artifact 1: fp16 is float throughout, only int8 keeps some",
        ),
        (HEAD + 'name = "../x"\n', "line 6: 'name' of artifact 1: '../x' cannot be part of a file"),
        (HEAD + 'name = "fp16"\n', "line 6: 'name' of artifact 1: 'fp16' is a precision"),
        # Two files of one name.
        (
            HEAD + HEAD[14:],
            "line 7: 'name' of artifact 2: it would be written as ...-int8.onnx, like artifact 1: "
            "give it another name",
        ),
        (
            f'{HEAD}name = "x"\n{HEAD[14:]}name = "x"\n',
            "line 11: 'name' of artifact 2: it would be written as ...-x.onnx, like artifact 1",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_with_line_and_key(
    source: str | bytes, sentence: str, tmp_path: Path
) -> None:
    path = _written(tmp_path, source)
    with pytest.raises(UsageError) as raised:
        read_recipe(path)
    message = str(raised.value)
    assert message.startswith(str(path))
    assert sentence in message
    assert "\n" not in message


def test_the_same_name_for_two_runtimes_is_two_files(tmp_path: Path) -> None:
    second = HEAD[14:].replace("onnx", "executorch")
    source = f'{HEAD}name = "x"\n{second}name = "x"\n'
    assert len(read_recipe(_written(tmp_path, source)).targets) == 2


def test_a_folder_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.toml cannot be read: No such file"):
        read_recipe(tmp_path / "nothing.toml")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_recipe(tmp_path)
