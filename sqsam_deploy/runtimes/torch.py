"""A checkpoint as a session, on CPU or CUDA: the float reference of every artifact."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from sqsam_deploy.checkpoint import Checkpoint, load_checkpoint
from sqsam_deploy.model.description import config_of, describe
from sqsam_deploy.runtimes.session import Session


class TorchSession(Session):
    """Runs an unfolded checkpoint in float32."""

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu") -> None:
        self.metadata = describe(
            checkpoint.config,
            runtime="torch",
            precision="fp32",
            weights_sha256=checkpoint.sha256,
        )
        self._device = torch.device(device)
        self._model = checkpoint.model.to(self._device)

    @override
    @torch.inference_mode()
    def execute(
        self, feeds: Mapping[str, NDArray[np.generic]]
    ) -> Mapping[str, NDArray[np.generic]]:
        tensors = {name: torch.from_numpy(v).to(self._device) for name, v in feeds.items()}
        if not config_of(self.metadata).late_fusion:
            # Such a network reads the points from the maps alone; its forward still takes them.
            tensors["point_coords"] = tensors["image"].new_zeros(1, 1, 2)
            tensors["point_labels"] = tensors["image"].new_zeros(1, 1)
        masks, iou = self._model(**tensors)
        return {"low_res_masks": masks.cpu().numpy(), "iou_predictions": iou.cpu().numpy()}


def open_session(path: Path, threads: int | None = None) -> TorchSession:
    """A session over a checkpoint; `threads` holds for the process."""
    if threads is not None:
        torch.set_num_threads(threads)
    return TorchSession(load_checkpoint(path))
