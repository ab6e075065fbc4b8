"""A preset with random weights in torch: latency does not depend on what the weights are."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from sqsam_deploy.model.config import preset
from sqsam_deploy.model.description import describe
from sqsam_deploy.model.network import SqueezeSAM
from sqsam_deploy.runtimes.session import Session

_SEED = 0


def random_network(preset_name: str) -> SqueezeSAM:
    """A preset's network, ready for inference, the same weights at every call."""
    torch.manual_seed(_SEED)
    return SqueezeSAM(preset(preset_name)).eval()


class RandomNetworkSession(Session):
    """Runs it on the CPU in float32, as the training code would."""

    def __init__(self, preset_name: str) -> None:
        self.metadata = describe(
            preset(preset_name), runtime="torch", precision="fp32", weights_sha256="0" * 64
        )
        self._network = random_network(preset_name)

    @override
    @torch.inference_mode()
    def execute(
        self, feeds: Mapping[str, NDArray[np.generic]]
    ) -> Mapping[str, NDArray[np.generic]]:
        tensors = {name: torch.from_numpy(value) for name, value in feeds.items()}
        tensors.setdefault("point_coords", torch.zeros(1, 1, 2))
        tensors.setdefault("point_labels", torch.zeros(1, 1))
        masks, iou = self._network(**tensors)
        return {"low_res_masks": masks.numpy(), "iou_predictions": iou.numpy()}
