"""The training loop: one optimizer step a batch, averaged weights, resumable at any step."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from sqsam_deploy.errors import UsageError
from sqsam_deploy.training.distributed import Processes, distribute, share
from sqsam_deploy.training.log import LogRow, append_row, drop_rows_after
from sqsam_deploy.training.processor import Precision, return_freed_memory
from sqsam_deploy.training.recipe import AnyRecipe, Optimization, TrainingRecipe, fingerprint
from sqsam_deploy.training.schedule import WeightAverage, learning_rate, mixed
from sqsam_deploy.training.state import RunState, load_state, save_state, save_weights
from sqsam_deploy.training.task import Task, batch_to

STATE_FILE = "last.pt"
WEIGHTS_FILE = "weights.safetensors"
LOG_FILE = "log.csv"

Execution = Literal["eager", "compiled"]


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out; nothing here changes what is learned, except the time budget.

    Args:
        output: Folder of the run's state, weights and log.
        precision: Of the matrix arithmetic; "bf16" is autocast on CPU and CUDA.
        workers: Processes that draw samples; 0 draws them in the training process.
        execution: "eager", or "compiled" by `torch.compile`.
        max_minutes: Time budget; the learning rate has decayed to zero when it is used up.
        log_every: Steps between two rows of the log.
        save_every: Steps between two states on disk.
        validate_every: Steps between two validations.
    """

    output: Path
    precision: Precision
    workers: int = 1
    execution: Execution = "eager"
    max_minutes: float | None = None
    log_every: int = 20
    save_every: int = 200
    validate_every: int = 1000


class Trainer:
    """Trains one network."""

    def __init__(
        self,
        task: Task,
        options: RunOptions,
        processes: Processes,
        initial_weights: dict[str, Tensor] | None = None,
        report: Callable[[LogRow], None] = lambda row: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Builds the network and resumes from the output folder's state, if there is one.

        Args:
            task: What to learn.
            options: How to run.
            processes: This process's place among those of the run.
            initial_weights: Weights to start from in place of random ones, by name; those that the
                network does not have, or has in another shape, are left out.
            report: Called with every row of the log, in the leading process.
            clock: Seconds since some moment, for the time budget.

        Raises:
            UsageError: The folder holds the run of another recipe, or no initial weight fits.
            CheckpointError: The folder's state is damaged.
        """
        self._task, self._options, self._processes, self._report = task, options, processes, report
        self._clock = clock
        self._plan = task.recipe.optimization
        torch.manual_seed(self._plan.seed)
        self._model = _channels_last(task.new_model().to(processes.device))
        #: Whether the weights it starts from are worth a row of the log.
        self._compares = initial_weights is not None
        if initial_weights is not None:
            warm_start(self._model, initial_weights)
        self._average = WeightAverage(self._model, self._plan.ema_decay)
        self._mixes = _mixes(task.recipe) if initial_weights is not None else (1.0,)
        self._mix = 1.0
        # Averaging changes its tensors in place.
        self._start = {name: value.clone() for name, value in self._average.weights.items()}
        freeze(self._model, self._plan)
        groups = parameter_groups(self._model, self._plan.weight_decay)
        self._optimizer = torch.optim.AdamW(groups, lr=0.0, fused=True)
        self._step, self._seconds = 0, 0.0
        self._total_steps = max(self._plan.samples // self._plan.batch_size, 1)
        self._resume()

    def run(self) -> dict[str, float]:
        """Trains to the end, or from there.

        Returns:
            The averaged weights' scores on the validation photos; empty but in the leading process,
            and where nothing was left to do.

        Raises:
            UsageError: The batch cannot be divided among the processes.
        """
        network = self._prepare_network()
        meter = _Meter(self._plan.batch_size, self._task.loss_names)
        if self._compares and self._step == 0 and self._processes.leads:
            self._log_start()
        started, first = self._clock() - self._seconds, self._step
        for batch in self._batches():
            self._seconds = self._clock() - started
            progress = self._progress()
            if progress >= 1:
                break
            rate = self._optimize(network, batch, progress, meter)
            self._step += 1
            if self._processes.leads:
                self._keep_record(rate, meter)
        if self._step == first and (self._options.output / WEIGHTS_FILE).exists():
            return {}  # it was finished before
        return self._finish()

    def _prepare_network(self) -> nn.Module:
        train_mode(self._model, self._plan)
        network = distribute(self._model, self._processes)
        if self._options.execution == "compiled":
            network.compile()
        return network

    def _batches(self) -> Iterator[Any]:
        workers = self._options.workers
        loader = DataLoader(
            self._task.batches(self._processes),
            batch_size=None,
            sampler=range(self._step, self._total_steps),
            num_workers=workers,
            worker_init_fn=return_freed_memory,
            # A batch of `paper` is 1.3 GB of shared memory: four in flight, or one a worker.
            prefetch_factor=max(4 // workers, 1) if workers else None,
            pin_memory=self._processes.device.type == "cuda",
        )
        return iter(loader)

    def _progress(self) -> float:
        progress = self._step / self._total_steps
        if self._options.max_minutes is None:
            return progress
        spent = self._seconds / 60 / self._options.max_minutes
        return max(progress, share(spent, self._processes))

    def _optimize(self, network: nn.Module, batch: Any, progress: float, meter: "_Meter") -> float:
        plan = self._plan
        rate = learning_rate(plan.learning_rate, plan.warmup_samples / plan.samples, progress)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        with self._autocast():
            losses = self._task.losses(network, batch_to(batch, self._processes.device))
        self._optimizer.zero_grad(set_to_none=True)
        losses[0].backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._model.parameters(), plan.clip_norm)
        self._optimizer.step()
        self._average.update(self._model)
        meter.add(losses)
        return rate

    def _autocast(self) -> AbstractContextManager[object]:
        if self._options.precision == "fp32":
            return nullcontext()
        return torch.autocast(self._processes.device.type, torch.bfloat16)

    def _keep_record(self, rate: float, meter: "_Meter") -> None:
        options = self._options
        validate = self._step % options.validate_every == 0
        if validate or self._step % options.log_every == 0:
            losses, speed = meter.read()
            scores = self.scores() if validate else dict.fromkeys(self._task.score_names, math.nan)
            self._log(rate, speed, {**losses, **scores})
            if validate:
                self.save_weights(scores)
            meter.restart()
        if self._step % options.save_every == 0:
            self.save()

    def _log_start(self) -> None:
        losses = dict.fromkeys(self._task.loss_names, math.nan)
        self._log(0.0, math.nan, {**losses, **self.scores()})

    def _log(self, rate: float, speed: float, values: dict[str, float]) -> None:
        samples = self._step * self._plan.batch_size
        row = LogRow(self._step, samples, self._seconds / 60, rate, speed, values)
        append_row(self._options.output / LOG_FILE, row)
        self._report(row)

    def scores(self) -> dict[str, float]:
        """Scores of the averaged weights on the validation photos."""
        return self._task.scores(self.averaged_model(), self._processes.device)

    def averaged_model(self) -> nn.Module:
        """A new network with the averaged weights."""
        model = self._task.new_model().to(self._processes.device)
        model.load_state_dict(self._average.weights)
        return _channels_last(model)

    def _finish(self) -> dict[str, float]:
        if not self._processes.leads:
            return {}
        scores = self._settle()
        if self._compares and (self._step % self._options.validate_every or len(self._mixes) > 1):
            self._log(0.0, math.nan, {**dict.fromkeys(self._task.loss_names, math.nan), **scores})
        self.save()
        self.save_weights(scores)
        return scores

    def _settle(self) -> dict[str, float]:
        """Takes the best of the recipe's mixes for the averaged weights; its scores."""
        trained = self._average.weights
        found: dict[float, dict[str, float]] = {}
        for part in self._mixes:
            self._average.weights = mixed(self._start, trained, part)
            found[part] = self.scores()
        # Of equals the first.
        self._mix = max(found, key=lambda part: sum(found[part].values()))
        self._average.weights = mixed(self._start, trained, self._mix)
        return found[self._mix]

    def save(self) -> None:
        """Writes the state to resume from."""
        state = RunState(
            self._step,
            self._seconds,
            fingerprint(self._task.recipe),
            self._model.state_dict(),
            self._average.weights,
            self._average.updates,
            self._optimizer.state_dict(),
        )
        save_state(self._options.output / STATE_FILE, state)

    def save_weights(self, scores: dict[str, float]) -> None:
        """Writes the averaged weights, in float16, with what they are."""
        metadata = {**self.metadata(), "validation_scores": scores}
        save_weights(self._options.output / WEIGHTS_FILE, self._average.weights, metadata)

    @property
    def step(self) -> int:
        """Optimizer steps done so far."""
        return self._step

    def weights(self) -> dict[str, nn.Parameter]:
        """The parameters as the optimizer moves them, not averaged."""
        return dict(self._model.named_parameters())

    def averaged_weights(self) -> dict[str, Tensor]:
        """State dict of the averaged weights."""
        return self._average.weights

    def metadata(self) -> dict[str, Any]:
        """Description of the weights, for the file that holds them."""
        recipe = self._task.recipe
        return {
            "preset": recipe.preset,
            "recipe": asdict(recipe),
            "seed": str(recipe.optimization.seed),
            "steps": str(self._step),
            "mix": str(self._mix),
            "data": self._task.describe_data(),
        }

    def _resume(self) -> None:
        path = self._options.output / STATE_FILE
        if not path.exists():
            self._options.output.mkdir(parents=True, exist_ok=True)
            return
        state = load_state(path)
        if state.recipe != fingerprint(self._task.recipe):
            raise UsageError(
                f"{self._options.output} holds a run of another recipe: choose another --output, "
                "or delete it"
            )
        self._model.load_state_dict(state.model)
        self._optimizer.load_state_dict(state.optimizer)
        device = self._processes.device
        self._average.weights = {name: value.to(device) for name, value in state.average.items()}
        self._average.updates = state.average_updates
        self._step, self._seconds = state.step, state.seconds
        if self._processes.leads:
            drop_rows_after(self._options.output / LOG_FILE, state.step)


def _mixes(recipe: AnyRecipe) -> tuple[float, ...]:
    return recipe.mixes if isinstance(recipe, TrainingRecipe) else (1.0,)


class _Meter:
    """Means of the losses since the last row of the log."""

    def __init__(self, batch_size: int, names: tuple[str, ...]) -> None:
        self._batch_size, self._names = batch_size, names
        self.restart()

    def restart(self) -> None:
        self._sums = torch.zeros(len(self._names))
        self._count, self._since = 0, time.monotonic()

    def add(self, losses: tuple[Tensor, ...]) -> None:
        # Kept on the device: reading a number every step would stall a GPU.
        values = torch.stack([part.detach().float() for part in losses])
        self._sums = self._sums.to(values.device) + values
        self._count += 1

    def read(self) -> tuple[dict[str, float], float]:
        """Mean losses, and samples a second."""
        means = (self._sums / max(self._count, 1)).tolist()
        speed = self._count * self._batch_size / (time.monotonic() - self._since)
        return dict(zip(self._names, means, strict=True)), speed


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights of convolutions and linear layers decay; norms, biases, tokens, embeddings do not."""
    decaying, constant = list[nn.Parameter](), list[nn.Parameter]()
    learning = [pair for pair in model.named_parameters() if pair[1].requires_grad]
    for name, parameter in learning:
        last = name.split(".")[-1]
        kept = parameter.ndim < 2 or last.endswith(("token", "tokens", "embedding", "embeddings"))
        (constant if kept else decaying).append(parameter)
    return [
        {"params": decaying, "weight_decay": weight_decay},
        {"params": constant, "weight_decay": 0.0},
    ]


def freeze(model: nn.Module, plan: Optimization) -> None:
    """Lets only those parameters learn that the plan names.

    Raises:
        UsageError: It names none of this network's.
    """
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(any(fnmatchcase(name, pattern) for pattern in plan.trained))
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UsageError(f"no parameter of the network is called {' or '.join(plan.trained)}")


def train_mode(model: nn.Module, plan: Optimization) -> None:
    """Training mode, but for the norms that keep their statistics."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and (
            plan.frozen_norms or not any(p.requires_grad for p in module.parameters())
        ):
            module.eval()


def warm_start(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Copies every weight that the network has by the same name and in the same shape.

    Raises:
        UsageError: There is none.
    """
    own = model.state_dict()
    fitting = {
        name: value
        for name, value in weights.items()
        if name in own and own[name].shape == value.shape
    }
    if not fitting:
        raise UsageError("none of the initial weights fits this network: they are of another one")
    model.load_state_dict(fitting, strict=False)


def _channels_last(model: nn.Module) -> nn.Module:
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
