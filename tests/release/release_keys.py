"""Key pairs for the tests of signatures."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Keys:
    """A key pair in PEM form, as openssl writes it."""

    private: Path
    public: Path


def make_keys(directory: Path) -> Keys:
    if not shutil.which("openssl"):
        pytest.skip("openssl is missing")
    directory.mkdir(parents=True)
    keys = Keys(directory / "key.pem", directory / "key.pub")
    curve = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout"]
    subprocess.run([*curve, "-out", keys.private], check=True, capture_output=True)
    public = ["openssl", "ec", "-in", keys.private, "-pubout", "-out", keys.public]
    subprocess.run(public, check=True, capture_output=True)
    return keys
