"""The task of the paper: prompts to masks."""

from collections import Counter

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from sqsam_deploy.checkpoint import Checkpoint
from sqsam_deploy.errors import UsageError
from sqsam_deploy.model.config import preset
from sqsam_deploy.model.network import SqueezeSAM
from sqsam_deploy.training.distributed import Processes
from sqsam_deploy.training.growth import GrowingSqueezeSAM
from sqsam_deploy.training.losses import training_losses
from sqsam_deploy.training.prepared import PreparedData
from sqsam_deploy.training.protocol import score
from sqsam_deploy.training.recipe import TrainingRecipe
from sqsam_deploy.training.samples import Batch, BatchDataset, SampleSource
from sqsam_deploy.training.splits import split


class PromptedTask:
    """Trains a SqueezeSAM network."""

    loss_names: tuple[str, ...] = ("loss", "mask_loss", "iou_loss", "best_iou")
    score_names = ("val_miou_1_click", "val_miou_3_clicks", "val_miou_box")

    def __init__(
        self,
        recipe: TrainingRecipe,
        data: PreparedData,
        validation_share: float,
        validation_images: int,
    ) -> None:
        """Splits the data.

        Raises:
            DataError: Nothing is left on one side of the split.
        """
        self.recipe, self._data = recipe, data
        self._config = preset(recipe.preset)
        self._training, validation = split(data.images, range(len(data)), validation_share)
        self._validation = validation[:validation_images]

    def new_model(self) -> nn.Module:
        """An untrained SqueezeSAM."""
        return SqueezeSAM(self._config)

    def batches(self, processes: Processes) -> Dataset[Batch]:
        """Samples with prompts.

        Raises:
            UsageError: The batch cannot be divided among photos and processes.
        """
        divisor = self.recipe.objects_per_image * processes.world_size
        if self.recipe.optimization.batch_size % divisor:
            raise UsageError(
                f"the batch size {self.recipe.optimization.batch_size} is not a multiple of "
                f"{divisor}, the objects per image times the number of processes"
            )
        source = SampleSource(self._data, self._training, self.recipe, self._config)
        return BatchDataset(source, self.recipe, processes.rank, processes.world_size)

    def losses(self, network: nn.Module, batch: Batch) -> tuple[Tensor, ...]:
        """SAM's losses."""
        low_res_masks, iou_predictions = network(
            batch.image.float(), batch.prompt_maps.float(), batch.point_coords, batch.point_labels
        )
        return training_losses(low_res_masks, iou_predictions, batch.target, self.recipe.losses)

    def scores(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        """Validation mIoU for each prompt."""
        photos = (self._data.masked_image(number) for number in self._validation)
        scores = score(model, self._config, photos, device)
        values = (scores.miou_1_click, scores.miou_3_clicks, scores.miou_box)
        return dict(zip(self.score_names, values, strict=True))

    def describe_data(self) -> dict[str, int]:
        """Training photos of each source."""
        return dict(Counter(self._data.images[number].source for number in self._training))


class DeepeningTask(PromptedTask):
    """Fits the new parts of a deepened network to the network that it was made from."""

    loss_names = (*PromptedTask.loss_names, "encoder_error")

    def __init__(
        self,
        recipe: TrainingRecipe,
        data: PreparedData,
        validation_share: float,
        validation_images: int,
        shallow: Checkpoint,
    ) -> None:
        """Takes the old network beside what `PromptedTask` takes.

        Raises:
            DataError: Nothing is left on one side of the split.
        """
        super().__init__(recipe, data, validation_share, validation_images)
        self._shallow = shallow

    def new_model(self) -> nn.Module:
        """An untrained network that knows the old one."""
        old = self._shallow
        return GrowingSqueezeSAM(self._config, old.config, old.model.state_dict())

    def losses(self, network: nn.Module, batch: Batch) -> tuple[Tensor, ...]:
        """SAM's losses of the new decoder side, and the error of the new encoder side."""
        low_res_masks, iou_predictions, error = network(
            batch.image.float(), batch.prompt_maps.float(), batch.point_coords, batch.point_labels
        )
        losses = training_losses(low_res_masks, iou_predictions, batch.target, self.recipe.losses)
        return losses.total + error, *losses[1:], error
