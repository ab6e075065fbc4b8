"""The configuration of a network, a real photo and prompt, and metadata for them."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.artifact.metadata import ArtifactMetadata, PrecisionName, arrange_inputs
from sqsam_deploy.datasets import bundled_dataset, load_image
from sqsam_deploy.model.config import NANO, ModelConfig
from sqsam_deploy.model.description import default_inputs, describe
from sqsam_deploy.prompts import EncodedPrompt, Prompt, encode_prompt, prepare_image
from sqsam_deploy.runtimes.coreml import RUNTIME

#: `nano` with fewer levels; its layers are as large, so that weights get palettes.
SMALL = dataclasses.replace(
    NANO, image_size=128, widths=(16, 32, 64, 128, 128), transformer_depth=1
)

Photo = tuple[NDArray[np.uint8], EncodedPrompt]
Package = Callable[[PrecisionName], Path]


def real_photo(config: ModelConfig) -> Photo:
    image = load_image(next(iter(bundled_dataset("calibration"))))
    height, width = image.shape[:2]
    prompt = Prompt(
        point_coords=np.array([[width / 2, height / 2], [width / 4, height / 5]], np.float32),
        point_labels=np.array([1, 0], np.int64),
        box=(width * 0.2, height * 0.1, width * 0.8, height * 0.9),
    )
    return prepare_image(image, config), encode_prompt(prompt, (height, width), config)


def metadata_of(config: ModelConfig, precision: PrecisionName) -> ArtifactMetadata:
    return describe(
        config,
        runtime="coreml",
        precision=precision,
        weights_sha256="ab" * 32,
        inputs=arrange_inputs(default_inputs(config), "image"),
        deployment_target=RUNTIME.deployment_target(precision, None),
    )
