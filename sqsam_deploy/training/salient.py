"""The task of the saliency network: an image to the map of its salient objects."""

from collections import Counter
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from sqsam_deploy.errors import UsageError
from sqsam_deploy.model.config import ModelConfig
from sqsam_deploy.model.saliency import SALIENCY, SaliencyConfig, SaliencyNet
from sqsam_deploy.training import augment
from sqsam_deploy.training.distributed import Processes
from sqsam_deploy.training.losses import dice_loss
from sqsam_deploy.training.prepared import PreparedData
from sqsam_deploy.training.recipe import SaliencyRecipe
from sqsam_deploy.training.saliency_metrics import network_map, saliency_scores
from sqsam_deploy.training.samples import image_shares
from sqsam_deploy.training.splits import split


class SaliencyBatch(NamedTuple):
    """Photos and salient masks as tensors.

    Attributes:
        image: Bx3xSxS uint8, channels last in memory.
        target: Bx1xsxs uint8, 0 or 1.
    """

    image: Tensor
    target: Tensor


class SaliencyLosses(NamedTuple):
    """Scalars of one batch; `total` is what is minimized."""

    total: Tensor
    cross_entropy: Tensor
    dice: Tensor


class SaliencyTask:
    """Trains a saliency network."""

    loss_names = ("loss", "cross_entropy", "dice_loss")
    score_names = ("val_mae", "val_max_f")

    def __init__(
        self,
        recipe: SaliencyRecipe,
        data: PreparedData,
        validation_share: float,
        validation_images: int,
        config: SaliencyConfig = SALIENCY,
    ) -> None:
        """Splits the photos of the sources that have a share.

        Raises:
            DataError: Nothing is left on one side of the split.
        """
        self.recipe, self._data, self._config = recipe, data, config
        without = {source for source, share in recipe.source_weights if share == 0}
        numbers = [n for n, image in enumerate(data.images) if image.source not in without]
        self._training, validation = split(data.images, numbers, validation_share)
        self._validation = validation[:validation_images]

    def new_model(self) -> nn.Module:
        """An untrained network."""
        return SaliencyNet(self._config)

    def batches(self, processes: Processes) -> Dataset[SaliencyBatch]:
        """Augmented photos.

        Raises:
            UsageError: The batch cannot be divided among the processes.
        """
        size, count = self.recipe.optimization.batch_size, processes.world_size
        if size % count:
            raise UsageError(f"the batch size {size} is not a multiple of the {count} processes")
        return SaliencyDataset(self._data, self._training, self.recipe, self._config, processes)

    def losses(self, network: nn.Module, batch: SaliencyBatch) -> SaliencyLosses:
        """Cross-entropy and dice, one to one."""
        logits, target = network(batch.image.float()).float(), batch.target.float()
        cross_entropy = F.binary_cross_entropy_with_logits(logits, target)
        dice = dice_loss(logits, target).mean()
        return SaliencyLosses(cross_entropy + dice, cross_entropy, dice)

    def scores(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        """Validation MAE and maximum F-measure."""
        photos = (self._data.masked_image(number) for number in self._validation)
        predict = network_map(model, self._config, device)
        scores = saliency_scores(predict, photos)
        return {"val_mae": scores.mae, "val_max_f": scores.max_f}

    def describe_data(self) -> dict[str, int]:
        """Training photos of each source."""
        return dict(Counter(self._data.images[number].source for number in self._training))


class SaliencyDataset(Dataset[SaliencyBatch]):
    """The batch of step n for one process, a function of the seed and n."""

    def __init__(
        self,
        data: PreparedData,
        numbers: list[int],
        recipe: SaliencyRecipe,
        config: SaliencyConfig,
        processes: Processes,
    ) -> None:
        self._data, self._recipe, self._config = data, recipe, config
        self._numbers, self._processes = np.array(numbers), processes
        sources = [data.images[number].source for number in numbers]
        self._shares = image_shares(sources, recipe.source_weights)

    def __getitem__(self, step: int) -> SaliencyBatch:
        count = self._recipe.optimization.batch_size // self._processes.world_size
        first = (step * self._processes.world_size + self._processes.rank) * count
        images, targets = zip(*(self._draw(first + i) for i in range(count)), strict=True)
        stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
        return SaliencyBatch(stacked, torch.from_numpy(np.stack(targets)).unsqueeze(1))

    def _draw(self, sample: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([self._recipe.optimization.seed, sample])
        number = int(self._numbers[rng.choice(len(self._numbers), p=self._shares)])
        photo, options = self._data.masked_image(number), self._recipe.augmentation
        image, mask = photo.image, np.any(photo.masks, axis=0).astype(np.uint8)
        if rng.random() < options.cropping:
            around = augment.bounding_window(mask)
            hw = (mask.shape[0], mask.shape[1])
            window = augment.center_crop(hw, around, options.min_crop, rng)
            image, mask = window.cut(image), window.cut(mask)
        if rng.random() < options.flipping:
            image, mask = augment.mirror(image), augment.mirror(mask)
        resized = augment.resize_image(image, self._config.image_size)
        pixels = np.asarray(augment.jitter_color(resized, options.color, options.gray, rng))
        return pixels, augment.resize_target(mask, self._config.map_size)


def from_prompted(
    weights: dict[str, Tensor], prompted: ModelConfig, config: SaliencyConfig
) -> dict[str, Tensor]:
    """A prompted network's convolutions under the saliency network's names.

    The first convolution keeps its RGB channels; the box channel, all ones without a box, joins
    the bias. Decoder levels are matched from the finest. Channels that the saliency network does
    not have are cut off.

    Args:
        weights: State dict of a `SqueezeSAM`.
        prompted: Its configuration.
        config: The saliency network's configuration.
    """
    kernel = weights["encoder.patch_embedding.conv.weight"].float()
    box = 4 if prompted.map_order == "clicks-box" else 3
    bias = weights["encoder.patch_embedding.conv.bias"].float() + kernel[:, box].sum(dim=(1, 2))
    translated = {
        "encoder.patch_embedding.0.weight": kernel[:, :3],
        "encoder.patch_embedding.0.bias": bias,
    }
    skipped_levels = len(prompted.widths) - len(config.widths)
    for name, value in weights.items():
        if name.startswith("encoder.patch_embedding.norm."):
            name = name.replace(".norm.", ".1.")
        elif name.startswith("decoder.levels."):
            _, _, level, rest = name.split(".", 3)
            name = f"decoder.{int(level) - skipped_levels}.{rest}"
        elif not name.startswith(("encoder.stem.", "encoder.levels.")):
            continue
        translated[name] = value
    shapes = {name: value.shape for name, value in SaliencyNet(config).state_dict().items()}
    return {
        name: value[tuple(slice(side) for side in shapes[name])]
        for name, value in translated.items()
        if name in shapes
    }
