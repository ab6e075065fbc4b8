"""The recipes live in `export/` and travel in the wheel."""

import os
import zipfile
from pathlib import Path

import pytest

import sqsam_deploy

CHECKOUT = Path(sqsam_deploy.__file__).parents[1]


def test_the_wheel_carries_the_recipes_of_the_checkout(tmp_path: Path) -> None:
    hatchling = pytest.importorskip("hatchling.build")
    if not (CHECKOUT / "pyproject.toml").is_file():
        pytest.skip("not a checkout")
    before = Path.cwd()
    os.chdir(CHECKOUT)  # A build backend works where it is started (PEP 517).
    try:
        name = hatchling.build_wheel(str(tmp_path))
    finally:
        os.chdir(before)
    recipes = sorted((CHECKOUT / "export").glob("*.toml"))
    assert recipes
    with zipfile.ZipFile(tmp_path / name) as wheel:
        for recipe in recipes:
            carried = wheel.read(f"sqsam_deploy/recipes/bundled/{recipe.name}")
            assert carried == recipe.read_bytes()
