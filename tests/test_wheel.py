"""A wheel carries everything that the package reads, and nothing else."""

import os
import zipfile
from pathlib import Path

import pytest

import sqsam_deploy

CHECKOUT = Path(sqsam_deploy.__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a wheel that is built from this checkout, by name."""
    hatchling = pytest.importorskip("hatchling.build")
    folder = tmp_path_factory.mktemp("wheel")
    before = Path.cwd()
    os.chdir(CHECKOUT)  # A build backend works where it is started (PEP 517).
    try:
        name = hatchling.build_wheel(str(folder))
    finally:
        os.chdir(before)
    with zipfile.ZipFile(folder / name) as archive:
        return {entry: archive.read(entry) for entry in archive.namelist()}


def test_every_file_of_the_package_is_in_it_unchanged(wheel: dict[str, bytes]) -> None:
    expected = {
        path.relative_to(CHECKOUT).as_posix(): path
        for path in (CHECKOUT / "sqsam_deploy").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    for name, path in expected.items():
        assert wheel[name] == path.read_bytes()
    kinds = {Path(name).suffix for name in expected}
    # Weights, photos, schemas, templates and the demo's page.
    assert {".py", ".safetensors", ".jpg", ".json", ".j2", ".css", ".js", ".html"} <= kinds
    assert "sqsam_deploy/py.typed" in wheel


def test_it_carries_the_recipes_of_the_checkout(wheel: dict[str, bytes]) -> None:
    recipes = sorted((CHECKOUT / "export").glob("*.toml"))
    assert recipes
    for recipe in recipes:
        assert wheel[f"sqsam_deploy/recipes/bundled/{recipe.name}"] == recipe.read_bytes()


def test_it_holds_no_tests_and_nothing_of_the_checkout(wheel: dict[str, bytes]) -> None:
    folders = {name.split("/")[0] for name in wheel}
    assert folders == {"sqsam_deploy", next(f for f in folders if f.endswith(".dist-info"))}
    assert not [name for name in wheel if "test" in Path(name).stem.split("_")]


def test_its_commands_are_those_of_the_project(wheel: dict[str, bytes]) -> None:
    (entry_points,) = (text for name, text in wheel.items() if name.endswith("entry_points.txt"))
    modules = {path.stem for path in (CHECKOUT / "sqsam_deploy" / "cli").glob("[a-z]*.py")}
    for module in modules:
        assert f"sqsam-{module} = sqsam_deploy.cli.{module}:main" in entry_points.decode()
