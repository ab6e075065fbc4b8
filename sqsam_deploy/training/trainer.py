"""The training loop: one optimizer step a batch, averaged weights, resumable at any step."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from torch.utils.data import DataLoader

from sqsam_deploy.errors import UsageError
from sqsam_deploy.model.config import preset
from sqsam_deploy.model.network import SqueezeSAM
from sqsam_deploy.training.distributed import Processes, distribute, share
from sqsam_deploy.training.log import LogRow, append_row, drop_rows_after
from sqsam_deploy.training.losses import Losses, training_losses
from sqsam_deploy.training.prepared import PreparedData
from sqsam_deploy.training.protocol import Scores, score
from sqsam_deploy.training.recipe import Recipe
from sqsam_deploy.training.samples import Batch, BatchDataset, SampleSource
from sqsam_deploy.training.schedule import WeightAverage, learning_rate
from sqsam_deploy.training.splits import split
from sqsam_deploy.training.state import RunState, load_state, save_state, save_weights

STATE_FILE = "last.pt"
WEIGHTS_FILE = "weights.safetensors"
LOG_FILE = "log.csv"


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out; nothing here changes what is learnt, except the time budget.

    Args:
        output: Folder of the run's state, weights and log.
        precision: Of the matrix arithmetic; "bf16" is autocast on CPU and CUDA.
        workers: Processes that draw samples; 0 draws them in the training process.
        execution: "eager", or "compiled" by `torch.compile`.
        max_minutes: Time budget; the learning rate has decayed to zero when it is used up.
        log_every: Steps between two rows of the log.
        save_every: Steps between two states on disk.
        validate_every: Steps between two validations.
        validation_share: Share of the data's groups held out.
        validation_images: Largest number of photos to validate on.
    """

    output: Path
    precision: Literal["bf16", "fp32"] = "bf16"
    workers: int = 1
    execution: Literal["eager", "compiled"] = "eager"
    max_minutes: float | None = None
    log_every: int = 20
    save_every: int = 100
    validate_every: int = 500
    validation_share: float = 0.04
    validation_images: int = 120


class Trainer:
    """Trains one network by a recipe."""

    def __init__(
        self,
        recipe: Recipe,
        data: PreparedData,
        options: RunOptions,
        processes: Processes,
        report: Callable[[LogRow], None] = lambda row: None,
    ) -> None:
        """Builds the network and resumes from the output folder's state, if there is one.

        Args:
            recipe: What to learn.
            data: The photos.
            options: How to run.
            processes: This process's place among those of the run.
            report: Called with every row of the log, in the leading process.

        Raises:
            DataError: The data cannot be split for validation.
            UsageError: The folder holds the run of another recipe, or the batch cannot be divided
                among the processes.
            CheckpointError: The folder's state is damaged.
        """
        divisor = recipe.objects_per_image * processes.world_size
        if recipe.batch_size % divisor:
            raise UsageError(
                f"the batch size {recipe.batch_size} is not a multiple of {divisor}, the objects "
                "per image times the number of processes"
            )
        self._recipe, self._data, self._options = recipe, data, options
        self._processes, self._report = processes, report
        self._config = preset(recipe.preset)
        self._training, validation = split(data.images, options.validation_share)
        self._validation = validation[: options.validation_images]
        self._model = self._new_model()
        self._average = WeightAverage(self._model, recipe.ema_decay)
        self._optimizer = torch.optim.AdamW(
            parameter_groups(self._model, recipe.weight_decay),
            lr=0.0,
            betas=(0.9, 0.999),
            fused=True,
        )
        self._step, self._seconds = 0, 0.0
        self._total_steps = max(recipe.samples // recipe.batch_size, 1)
        self._resume()

    def _new_model(self) -> SqueezeSAM:
        torch.manual_seed(self._recipe.seed)
        model = SqueezeSAM(self._config).to(self._processes.device)
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    @property
    def step(self) -> int:
        """Optimizer steps done so far."""
        return self._step

    def run(self) -> Scores:
        """Trains to the end.

        Returns:
            The averaged weights' scores on the validation photos.
        """
        network = self._prepare_network()
        meter = _Meter(self._recipe.batch_size)
        started = time.monotonic() - self._seconds
        for batch in self._batches():
            self._seconds = time.monotonic() - started
            progress = share(self._progress(), self._processes)
            if progress >= 1:
                break
            rate = self._optimize(network, batch, progress, meter)
            self._step += 1
            self._after_step(rate, meter)
        return self._finish()

    def _prepare_network(self) -> nn.Module:
        self._model.train()
        network = distribute(self._model, self._processes)
        if self._options.execution == "compiled":
            network = torch.compile(network)  # type: ignore[assignment]
        return network

    def _batches(self) -> Iterator[Batch]:
        source = SampleSource(self._data, self._training, self._recipe, self._config)
        dataset = BatchDataset(
            source, self._recipe, self._processes.rank, self._processes.world_size
        )
        workers = self._options.workers
        return iter(
            DataLoader(
                dataset,
                batch_size=None,
                sampler=range(self._step, self._total_steps),
                num_workers=workers,
                prefetch_factor=4 if workers else None,
                pin_memory=self._processes.device.type == "cuda",
            )
        )

    def _progress(self) -> float:
        progress = self._step / self._total_steps
        if self._options.max_minutes is None:
            return progress
        return max(progress, self._seconds / 60 / self._options.max_minutes)

    def _optimize(
        self, network: nn.Module, batch: Batch, progress: float, meter: "_Meter"
    ) -> float:
        warmup = self._recipe.warmup_samples / self._recipe.samples
        rate = learning_rate(self._recipe.learning_rate, warmup, progress)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        losses = self._forward(network, batch)
        self._optimizer.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._model.parameters(), self._recipe.clip_norm)
        self._optimizer.step()
        self._average.update(self._model)
        meter.add(losses)
        return rate

    def _forward(self, network: nn.Module, batch: Batch) -> Losses:
        image, maps, coords, labels, target = (
            tensor.to(self._processes.device, non_blocking=True) for tensor in batch
        )
        with self._autocast():
            low_res_masks, iou_predictions = network(image.float(), maps.float(), coords, labels)
        return training_losses(low_res_masks, iou_predictions, target, self._recipe.losses)

    def _autocast(self) -> AbstractContextManager[object]:
        if self._options.precision == "fp32":
            return nullcontext()
        return torch.autocast(self._processes.device.type, torch.bfloat16)

    def _after_step(self, rate: float, meter: "_Meter") -> None:
        options = self._options
        validate = self._step % options.validate_every == 0
        if self._processes.leads and (validate or self._step % options.log_every == 0):
            row = meter.row(self._step, self._seconds, rate)
            self._log(replace(row, **_columns(self.validate())) if validate else row)
            if validate:
                self.save_weights()
            meter.restart()
        if self._processes.leads and self._step % options.save_every == 0:
            self.save()

    def _log(self, row: LogRow) -> None:
        append_row(self._options.output / LOG_FILE, row)
        self._report(row)

    def validate(self) -> Scores:
        """Scores of the averaged weights on the validation photos."""
        photos = (self._data.masked_image(number) for number in self._validation)
        return score(self.averaged_model(), self._config, photos, self._processes.device)

    def averaged_model(self) -> SqueezeSAM:
        """A new network with the averaged weights."""
        model = SqueezeSAM(self._config).to(self._processes.device)
        model.load_state_dict(self._average.weights)
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def _finish(self) -> Scores:
        scores = self.validate()
        if self._processes.leads:
            self.save()
            self.save_weights(scores)
        return scores

    def save(self) -> None:
        """Writes the state to resume from."""
        state = RunState(
            self._step,
            self._seconds,
            fingerprint(self._recipe),
            self._model.state_dict(),
            self._average.weights,
            self._average.updates,
            self._optimizer.state_dict(),
        )
        save_state(self._options.output / STATE_FILE, state)

    def save_weights(self, scores: Scores | None = None) -> None:
        """Writes the averaged weights."""
        metadata: dict[str, Any] = {
            "preset": self._recipe.preset,
            "recipe": asdict(self._recipe),
            "seed": str(self._recipe.seed),
            "steps": str(self._step),
            "data": _count_sources(self._data, self._training),
        }
        if scores is not None:
            metadata["validation_scores"] = asdict(scores)
        save_weights(self._options.output / WEIGHTS_FILE, self._average.weights, metadata)

    def _resume(self) -> None:
        path = self._options.output / STATE_FILE
        if not path.exists():
            self._options.output.mkdir(parents=True, exist_ok=True)
            return
        state = load_state(path)
        if state.recipe != fingerprint(self._recipe):
            raise UsageError(
                f"{self._options.output} holds a run of another recipe: choose another --output, "
                "or delete it"
            )
        self._model.load_state_dict(state.model)
        self._optimizer.load_state_dict(state.optimizer)
        self._average.weights = {
            name: value.to(self._processes.device) for name, value in state.average.items()
        }
        self._average.updates = state.average_updates
        self._step, self._seconds = state.step, state.seconds
        if self._processes.leads:
            drop_rows_after(self._options.output / LOG_FILE, state.step)


class _Meter:
    """Means of the losses since the last row of the log."""

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self.restart()

    def restart(self) -> None:
        self._sums = torch.zeros(4)
        self._count, self._since = 0, time.monotonic()

    def add(self, losses: Losses) -> None:
        # Kept on the device: reading a number every step would stall a GPU.
        values = torch.stack([part.detach().float() for part in losses])
        self._sums = self._sums.to(values.device) + values
        self._count += 1

    def row(self, step: int, seconds: float, rate: float) -> LogRow:
        loss, mask, iou, best = (self._sums / max(self._count, 1)).tolist()
        speed = self._count * self._batch_size / (time.monotonic() - self._since)
        samples = step * self._batch_size
        return LogRow(step, samples, seconds / 60, rate, loss, mask, iou, best, speed)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights of convolutions and linear layers decay; norms, biases and tokens do not."""
    decaying, constant = [], []
    for name, parameter in model.named_parameters():
        plain = parameter.ndim < 2 or "token" in name or "embedding" in name.split(".")[-1]
        (constant if plain else decaying).append(parameter)
    return [
        {"params": decaying, "weight_decay": weight_decay},
        {"params": constant, "weight_decay": 0.0},
    ]


def fingerprint(recipe: Recipe) -> str:
    """A hash of everything in the recipe."""
    return hashlib.sha256(repr(recipe).encode()).hexdigest()


def _columns(scores: Scores) -> dict[str, float]:
    return {
        "val_miou_1_click": scores.miou_1_click,
        "val_miou_3_clicks": scores.miou_3_clicks,
        "val_miou_box": scores.miou_box,
    }


def _count_sources(data: PreparedData, numbers: list[int]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for number in numbers:
        source = data.images[number].source
        counts[source] = counts.get(source, 0) + 1
    return counts
