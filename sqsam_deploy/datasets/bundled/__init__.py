"""Photos that travel with the package, so that quantizing and measuring need no data at all."""

from pathlib import Path
from typing import Literal

from sqsam_deploy.datasets.folder import INDEX_NAME, open_folder
from sqsam_deploy.datasets.records import Dataset

BundledName = Literal["calibration", "sample"]


def bundled_dataset(name: BundledName) -> Dataset:
    """One of the two bundled datasets, both COCO photos under CC BY 2.0 or CC BY-SA 2.0.

    Args:
        name: "calibration" (32 photos, 125 objects, what int8 ranges are measured on) or "sample"
            (63 other photos, 281 objects, what quality is measured on).

    Returns:
        The dataset; `ATTRIBUTION.md` in its folder names the source of every photo.
    """
    return open_folder(Path(__file__).parent / name / INDEX_NAME, name)


def bundled_photo(name: str) -> Path:
    """The file of a photo of the bundled sample: "coco_000000565778.jpg"."""
    return Path(__file__).parent / "sample" / name
