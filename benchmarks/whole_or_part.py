"""The price of mask merging: whole objects against their parts (docs/training.md).

    sqsam-parity DIR --score --whole-objects --prompts 1-click --dataset DATA -o REPORT
    python benchmarks/whole_or_part.py REPORT DATA

prints, for each network of the report, the mIoU of one click on a part scored against the whole
object, on a part scored against the part, and on the objects that are no parts.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from sqsam_deploy.datasets import load_annotated, open_dataset
from sqsam_deploy.evaluation.parity import RESULTS_NAME
from sqsam_deploy.evaluation.results import read_results
from sqsam_deploy.training.augment import nested_masks


def parts_of(data: Path) -> set[tuple[str, str]]:
    """Image and id of every object that lies inside a larger one, as merging sees it."""
    parts = set()
    for record in open_dataset(data):
        photo = load_annotated(record)
        nested = nested_masks(np.stack(photo.masks))
        objects = zip(photo.record.objects, nested, strict=True)
        parts |= {(photo.record.id, item.id) for item, inside in objects if inside}
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("report", type=Path)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    parts = parts_of(arguments.data)
    ious = defaultdict(list)
    for row in read_results(arguments.report / RESULTS_NAME):
        asked = {
            "nested-part": "whole, asked at a part",
            "1-click": "part" if (row.image, row.object) in parts else "no part",
        }
        if row.kind in asked:
            ious[row.artifact, asked[row.kind]].append(100 * row.iou)
    for (artifact, what), values in sorted(ious.items()):
        error = np.std(values, ddof=1) / len(values) ** 0.5
        print(f"{artifact:28} {what:24} {len(values):4} {np.mean(values):6.1f} +- {error:.1f}")


if __name__ == "__main__":
    main()
