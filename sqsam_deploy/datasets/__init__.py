"""Images with object masks: COCO, LVIS, SA-1B, image-and-mask folders, and two bundled sets."""

from sqsam_deploy.datasets.annotated import AnnotatedImage, load_all, load_annotated
from sqsam_deploy.datasets.bundled import bundled_dataset
from sqsam_deploy.datasets.images import decode_image, load_image, read_image, read_photo
from sqsam_deploy.datasets.opening import open_dataset, open_photos
from sqsam_deploy.datasets.overlap import with_lvis
from sqsam_deploy.datasets.records import (
    Dataset,
    ImageRecord,
    ObjectRecord,
    annotated,
    drawn,
    of_category,
    subset,
    with_single_object,
)

__all__ = [
    "AnnotatedImage",
    "Dataset",
    "ImageRecord",
    "ObjectRecord",
    "annotated",
    "bundled_dataset",
    "decode_image",
    "drawn",
    "load_all",
    "load_annotated",
    "load_image",
    "of_category",
    "open_dataset",
    "open_photos",
    "read_image",
    "read_photo",
    "subset",
    "with_lvis",
    "with_single_object",
]
