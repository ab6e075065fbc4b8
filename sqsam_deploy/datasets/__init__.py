"""Images with object masks: COCO, LVIS, image-and-mask folders, and two small bundled sets."""

from sqsam_deploy.datasets.bundled import bundled_dataset
from sqsam_deploy.datasets.images import load_image
from sqsam_deploy.datasets.opening import open_dataset
from sqsam_deploy.datasets.overlap import replace_overlapped
from sqsam_deploy.datasets.records import Dataset, ImageRecord, ObjectRecord, subset

__all__ = [
    "Dataset",
    "ImageRecord",
    "ObjectRecord",
    "bundled_dataset",
    "load_image",
    "open_dataset",
    "replace_overlapped",
    "subset",
]
