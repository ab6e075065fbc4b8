"""Networks with seeded weights, a real photo and prompt, and metadata for them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sqsam_deploy.artifact.metadata import ArtifactMetadata, PrecisionName, arrange_inputs
from sqsam_deploy.datasets import bundled_dataset, load_image
from sqsam_deploy.folding import FoldedModel, fold
from sqsam_deploy.model.config import ModelConfig
from sqsam_deploy.model.description import default_inputs, describe
from sqsam_deploy.model.network import SqueezeSAM
from sqsam_deploy.prompts import EncodedPrompt, Prompt, encode_prompt, prepare_image
from sqsam_deploy.runtimes.coreml import RUNTIME

Photo = tuple[NDArray[np.uint8], EncodedPrompt]
Package = Callable[[PrecisionName], Path]


def folded_network(config: ModelConfig) -> FoldedModel:
    torch.manual_seed(0)
    network = SqueezeSAM(config).eval()
    for norm in network.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.running_mean.uniform_(-0.2, 0.2)
            norm.running_var.uniform_(0.5, 1.5)
    return fold(network)


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
