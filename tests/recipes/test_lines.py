import pytest

from sqsam_deploy.recipes.lines import line_of

RECIPE = """\
# a comment with runtime = "onnx"
summary = \"\"\"
saliency = false
[[artifact]]
\"\"\"
saliency = true

[[artifact]]
runtime = "onnx"   # [[artifact]]

[[artifact]]
name = "a = b"
keep_float = [
  "decoder.*",

  "mask_head.*",  # name = "x"
]
runtime = "coreml"

[tools]
a.b.c = 1
a.b.d = 2
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("summary",), 2),
        (("saliency",), 6),
        (("artifact",), 8),
        (("artifact", 0), 8),
        (("artifact", 0, "runtime"), 9),
        (("artifact", 1), 11),
        (("artifact", 1, "name"), 12),
        (("artifact", 1, "keep_float", 1), 13),
        (("artifact", 1, "runtime"), 18),
        (("tools", "a", "b", "d"), 22),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_key_is_found_on_its_line(path: tuple[str | int, ...], line: int, newline: str) -> None:
    assert line_of(RECIPE.replace("\n", newline), path) == line


def test_a_key_that_is_missing_counts_as_the_table_it_is_missing_from() -> None:
    assert line_of(RECIPE, ("artifact", 1, "precision")) == 11


def test_nothing_of_the_path_in_the_file() -> None:
    assert line_of(RECIPE, ("precision",)) is None


def test_the_last_line_needs_no_newline() -> None:
    assert line_of("a = 1\nb = 2", ("b",)) == 2
