"""Makes the golden store of a format version, once: releases of it must be readable for ever.

    python tests/release/golden/make_golden.py tests/release/golden/v2

A new format version gets a folder of its own; an existing one is never made again.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from semver import Version

sys.path.insert(0, str(Path(__file__).parents[3]))
from sqsam_deploy.release.publish import publish
from sqsam_deploy.release.request import PublishRequest
from sqsam_deploy.release.store import FolderStore
from tests.release.export_builder import ExportBuilder


def main(target: Path) -> None:
    """Publishes two small releases; the private key is thrown away."""
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "key.pem"
        curve = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out"]
        subprocess.run([*curve, str(key)], check=True)
        public = ["openssl", "ec", "-in", str(key), "-pubout", "-out", str(target / "key.pub")]
        subprocess.run(public, check=True, capture_output=True)
        for seed, version in enumerate((Version(1, 0, 0), Version(1, 1, 0))):
            export = ExportBuilder()(Path(folder) / str(version), seed=seed)
            request = PublishRequest(export, version=str(version), sign_key=key)
            publish(FolderStore(target / "store"), request)
    (target / "store" / ".partial").rmdir()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
