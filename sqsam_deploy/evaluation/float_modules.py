"""`sqsam-export --sensitivity` and `--max-drift`: what int8 hurts, and what stays in float.

The choice takes modules in the order of their effect for their work, and checks the drift of the
program with the first 1, 2, 4, ... of them in float, then of the numbers between, on all photos; at
last it tries to do without the costliest. The effect is the larger of gain and loss: what stands
between two modules is rounded while one of them is int8, so of two that need float together neither
gains alone, but each loses alone. The work is counted and not timed: the choice does not depend on
what else the machine does.

The bound that has to hold is that of `sqsam-parity`'s gate, where the photos are enough for it: of
N photos that lost nothing it still leaves room for 60 x (1 - 0.025^(1/N)) points (`bounds`). Of
fewer photos it is the upper end of Student's 95% interval, which covers only what was seen.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy._internal.cache import default_cache
from sqsam_deploy._internal.progress import SilentSteps, Steps
from sqsam_deploy._internal.staging import refuse_foreign
from sqsam_deploy._internal.temporary import scratch_directory
from sqsam_deploy._internal.workers import open_workers, usable_cores, worker_count
from sqsam_deploy.artifact.documents import Frozen
from sqsam_deploy.artifact.manifest import MANIFEST_NAME
from sqsam_deploy.artifact.provenance import git_revision, installed_versions
from sqsam_deploy.datasets import Dataset, annotated, open_dataset, subset
from sqsam_deploy.errors import NOTICE, GateError, UsageError
from sqsam_deploy.evaluation.bounds import (
    LARGEST_LOSS,
    Interval,
    fewest_images,
    interval,
    upper_bounds,
)
from sqsam_deploy.evaluation.drift import POINTS
from sqsam_deploy.evaluation.gate import MAX_DRIFT, MIN_IMAGES, parse_limits
from sqsam_deploy.evaluation.sensitivity import (
    SENSITIVITY_PHOTOS,
    Asked,
    ModuleSensitivity,
    Sensitivity,
    draw_objects,
    measure_sensitivity,
)
from sqsam_deploy.networks.precisions import PRECISIONS
from sqsam_deploy.pipeline.export import calibration_photos
from sqsam_deploy.pipeline.programs import Programs
from sqsam_deploy.pipeline.request import ExportRequest
from sqsam_deploy.pipeline.targets import ProgramKey, Target
from sqsam_deploy.quantization.simulation import Simulation
from sqsam_deploy.runtimes.base import Runtime
from sqsam_deploy.runtimes.registry import all_runtimes, dependencies_of

#: Share of the multiply-accumulates that may stay in float: with more, fp16 is the better choice.
MOST_FLOAT = 0.5
#: Share of the multiply-accumulates that a module in float costs beside its own, for conversions
#: around it: without it, modules of next to no work and effect would come before all others.
_CONVERSIONS = 1e-3
#: Of the modules kept, those that the choice tries to do without, the costliest first.
_TRIED_AGAIN = 8
#: Inferences that are timed, after two that are not.
_TIMED, _UNTIMED = 7, 2

_INT8 = ProgramKey("int8")
_logger = logging.getLogger("sqsam_deploy.evaluation")


class KeptModule(Frozen):
    """A module that stays in float.

    Attributes:
        name: Dotted, in the folded network.
        loss: In points, of quantizing it alone, as the sensitivity was measured.
        gain: In points, of keeping it alone in float.
        milliseconds: What it costs: its share of the multiply-accumulates, times what the whole
            network takes longer in float.
    """

    name: str
    loss: Interval
    gain: Interval
    milliseconds: float


class Choice(Frozen):
    """The modules that stay in float so that the drift holds a limit.

    Attributes:
        max_drift: The limit, in mIoU points.
        bound_of: The statistic: the gate's bound, or the upper end of the 95% interval.
        photos: Photos that were asked.
        prompts: Prompts about them.
        drift_int8: Float minus int8, in points, with nothing in float.
        bound_int8: Its upper bound.
        drift: The same with what was kept.
        bound: Its upper bound.
        timed_on: The runtime whose float and int8 inference the costs are from; None where
            nothing stays in float.
        kept: The modules, in the order in which they run.
    """

    max_drift: float
    bound_of: Literal["gate", "interval"]
    photos: int
    prompts: int
    drift_int8: Interval
    bound_int8: float
    drift: Interval
    bound: float
    timed_on: str | None
    kept: tuple[KeptModule, ...]


class Study(Frozen):
    """All that was measured of the modules; `sensitivity` in `quantization.json`.

    Attributes:
        sensitivity: Of every module.
        choice: Of what stays in float, where a limit was given.
    """

    sensitivity: Sensitivity
    choice: Choice | None = None


def is_asked_for(request: ExportRequest) -> bool:
    """Whether an export shall measure its modules."""
    return request.sensitivity or request.max_drift is not None


def step_count(request: ExportRequest) -> int:
    """Most steps that `study_modules` reports for a request."""
    if not is_asked_for(request):
        return 0
    return 3 + SENSITIVITY_PHOTOS + 2 * (request.max_drift is not None)


def study_modules(
    request: ExportRequest, programs: Programs, steps: Steps
) -> tuple[ExportRequest, Study]:
    """Measures the modules of the int8 program, or recalls what was measured before.

    Args:
        request: With its targets listed.
        programs: Of the request; the int8 program is made where it is needed.
        steps: Receives each step as it begins.

    Returns:
        The request with what stays in float, and what was found.

    Raises:
        GateError: No choice holds the limit.
        UsageError: The limit makes no sense, nothing is int8, a target says itself what stays in
            float, or there are too few photos with masks.
        SqsamError: The checkpoint or the photos cannot be used.
    """
    limit = _checked_limit(request)
    refuse_foreign(request.output, MANIFEST_NAME)
    bench = _Bench(request, programs, steps)
    if limit is None:
        return request, Study(sensitivity=bench.sensitivity())
    study = bench.choice(limit)
    assert study.choice is not None
    names = tuple(module.name for module in study.choice.kept)
    targets = tuple(
        replace(target, keep_float=names) if _is_int8(target) else target
        for target in request.targets
    )
    _logger.log(NOTICE, describe_choice(study.choice))
    return replace(request, targets=targets), study


def _is_int8(target: Target) -> bool:
    return target.program.precision == _INT8.precision and PRECISIONS[target.precision].is_quantized


def _checked_limit(request: ExportRequest) -> float | None:
    option = "--sensitivity" if request.max_drift is None else "--max-drift"
    limit = None
    if request.max_drift is not None:
        limit = parse_limits(request.max_drift, (), MAX_DRIFT).default
    int8 = [target for target in request.targets if _is_int8(target)]
    if not int8:
        raise UsageError(f"{option} is about int8, and nothing int8 is built: add --int8")
    if any(target.keep_float for target in int8):
        raise UsageError(
            f"{option} needs the whole network in int8, and the recipe's keep_float leaves some "
            f"of it in float: leave out keep_float, or {option}"
        )
    return limit


class _Bench:
    """Everything that is measured, made when it is needed."""

    def __init__(self, request: ExportRequest, programs: Programs, steps: Steps) -> None:
        self._request, self._programs, self._steps = request, programs, steps
        steps.begin("looking at the photos with masks")
        self._photos = _photos_with_masks(request)
        self._network = programs.network
        self._metadata = self._network.declare("torch", "fp32", None)
        self._simulation: Simulation | None = None

    def sensitivity(self) -> Sensitivity:
        few = subset(self._photos, SENSITIVITY_PHOTOS, self._request.seed)
        asked = draw_objects(few, self._metadata, self._request.seed)
        place = self._place(asked)
        study = _recalled(place)
        if study is None:
            source = self._photos.name
            found = measure_sensitivity(self.simulation, asked, source, self._steps)
            study = Study(sensitivity=found)
            _keep(place, study)
        return study.sensitivity

    def choice(self, limit: float) -> Study:
        """The sensitivity, and what stays in float for a limit."""
        asked = draw_objects(self._photos, self._metadata, self._request.seed)
        if len(asked.records) < MIN_IMAGES:
            raise UsageError(
                f"--max-drift needs at least {MIN_IMAGES} photos with masks, and "
                f"'{self._photos.name}' has {len(asked.records)}: name a data set with --dataset"
            )
        place = self._place(asked, limit)
        study = _recalled(place)
        if study is None:
            sensitivity = self.sensitivity()
            self._steps.begin("choosing what stays in float")
            choice = _Search(self.simulation, asked, sensitivity, limit).choose()
            study = Study(sensitivity=sensitivity, choice=self._timed(choice))
            _keep(place, study)
        return study

    @property
    def simulation(self) -> Simulation:
        if self._simulation is None:
            self._programs.make(_INT8, self._steps)
            self._steps.begin("observing every value of the float network")
            quantized = self._programs.quantized[_INT8]
            self._simulation = Simulation(quantized, self._programs.samples())
        return self._simulation

    def _place(self, asked: Asked, limit: float | None = None) -> Path:
        """The file for what these very weights and photos give."""
        self._programs.samples()
        calibration = self._programs.calibration
        key = {
            "weights": self._network.weights.sha256,
            "calibration": calibration and calibration.model_dump(),
            "photos": asked.sha256,
            "seed": asked.seed,
            "limit": limit,
            "runtimes": [target.runtime for target in self._request.targets] if limit else [],
            "tools": installed_versions(("executorch",)),
            "revision": git_revision(),
        }
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        return default_cache() / "sensitivity" / f"{name}.json"

    def _timed(self, choice: Choice) -> Choice:
        """The choice with the cost of every module."""
        if not choice.kept:
            return choice
        runtime = _runtime_here(self._request.targets)
        with open_workers(self._steps) as workers:
            # Lowering changes counters of names, which end up in the artifacts that are built next.
            workers.start(partial(self._milliseconds, runtime), 1.0)
            ((floats, int8),) = workers.results()
        work = {module.name: module.work for module in self.simulation.modules}
        rate = max(floats - int8, 0.0) / sum(work.values())
        kept = tuple(
            module.model_copy(update={"milliseconds": round(rate * work[module.name], 4)})
            for module in choice.kept
        )
        return choice.model_copy(update={"kept": kept, "timed_on": runtime.title})

    def _milliseconds(self, runtime: Runtime, steps: Steps) -> tuple[float, float]:
        """Of an inference in float and in int8."""
        steps.begin(f"timing float and int8 on {runtime.title}")
        with scratch_directory("timing") as folder, dependencies_of(runtime):
            floats, int8 = (self._median(runtime, p, folder) for p in ("fp32", "int8"))
        return floats, int8

    def _median(self, runtime: Runtime, precision: str, folder: Path) -> float:
        target = Target(runtime.name, precision)
        path = folder / target.file_name(self._network.name)
        metadata = self._network.describe(
            runtime=runtime.name,
            precision=precision,
            layout=target.layout,
            deployment_target=target.lowest_ios,
        )
        runtime.lower(self._programs.make(ProgramKey(precision), SilentSteps()), metadata, path)
        runner = runtime.raw_runner(path, usable_cores())
        feeds, times = runner.random_inputs(), []
        for _ in range(_UNTIMED + _TIMED):
            start = time.perf_counter()
            runner.run(feeds)
            times.append(1e3 * (time.perf_counter() - start))
        return float(np.median(times[_UNTIMED:]))


def _photos_with_masks(request: ExportRequest) -> Dataset:
    if request.dataset is not None:
        return annotated(open_dataset(request.dataset))
    photos = annotated(calibration_photos(request))
    if not len(photos):
        option = "--sensitivity" if request.max_drift is None else "--max-drift"
        raise UsageError(
            f"{option} needs photos with masks, and the calibration photos have none: name a data "
            "set with --dataset"
        )
    return photos


def _runtime_here(targets: Sequence[Target]) -> Runtime:
    """The first runtime that runs float and int8 on this machine, of the targets if one does."""
    runtimes = (*(target.deployed_on for target in targets), *all_runtimes())
    return next(r for r in runtimes if r.runs_here() is None and {"fp32", "int8"} <= {*r.layouts})


def _recalled(place: Path) -> Study | None:
    try:
        return Study.model_validate_json(place.read_bytes())
    except (OSError, ValidationError):
        return None


def _keep(place: Path, study: Study) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(place, study.model_dump_json(indent=2).encode())
    except OSError:
        # It only saves time.
        _logger.log(NOTICE, f"{place} cannot be written: the next export measures again")


@dataclass
class _Search:
    """The search for what stays in float.

    Attributes:
        simulation: Of the int8 program.
        asked: The photos.
        sensitivity: Of every module.
        limit: For the bound of the drift.
        tried: Drifts and bounds by what was kept.
    """

    simulation: Simulation
    asked: Asked
    sensitivity: Sensitivity
    limit: float
    tried: dict[frozenset[str], tuple[Interval, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Runs the float network."""
        self._floats = self._ious(lambda name: True)

    def choose(self) -> Choice:
        """The modules to keep, without what they cost.

        Raises:
            GateError: No choice holds the limit.
        """
        chosen = frozenset[str]() if self._holds(()) else self._fewest()
        before, after = self.tried[frozenset()], self.tried[chosen]
        return Choice(
            max_drift=self.limit,
            bound_of="gate" if self._gate_can_hold else "interval",
            photos=len(self._floats),
            prompts=self._floats.size,
            drift_int8=before[0],
            bound_int8=before[1],
            drift=after[0],
            bound=after[1],
            timed_on=None,
            kept=tuple(
                KeptModule(name=module.name, loss=module.loss, gain=module.gain, milliseconds=0.0)
                for module in self.sensitivity.modules
                if module.name in chosen
            ),
        )

    @property
    def _gate_can_hold(self) -> bool:
        return len(self._floats) >= fewest_images(self.limit, LARGEST_LOSS)

    def _holds(self, kept: Collection[str]) -> bool:
        key = frozenset(kept)
        if key not in self.tried:
            after = self._ious(key.__contains__)
            means = POINTS * (self._floats - after).mean(axis=1)
            drift = interval(means)
            bound = drift.high
            if self._gate_can_hold:
                bound = float(upper_bounds(means[:, None], LARGEST_LOSS, self.asked.seed)[0])
            self.tried[key] = drift, bound
        return self.tried[key][1] <= self.limit

    def _fewest(self) -> frozenset[str]:
        order = worth_keeping(self.sensitivity.modules)
        lower, upper = 0, 0
        while not self._holds(order[:upper]):
            if upper == len(order):
                raise self._failure()
            lower, upper = upper, min(max(1, 2 * upper), len(order))
        while upper - lower > 1:
            middle = (lower + upper) // 2
            lower, upper = (lower, middle) if self._holds(order[:middle]) else (middle, upper)
        return self._thinned(order[:upper])

    def _thinned(self, kept: Sequence[str]) -> frozenset[str]:
        """Without those of the costliest modules that are not needed."""
        work = {module.name: module.work for module in self.sensitivity.modules}
        left = frozenset(kept)
        for name in sorted(kept, key=lambda name: -work[name])[:_TRIED_AGAIN]:
            if self._holds(left - {name}):
                left -= {name}
        return left

    def _failure(self) -> GateError:
        kept, (drift, bound) = min(self.tried.items(), key=lambda item: item[1][1])
        return GateError(
            f"no choice of float modules holds --max-drift {self.limit:g}: the lowest upper bound "
            f"of {len(self._floats)} photos is {bound:.2f} points (drift {drift.mean:.2f}), with "
            f"{len(kept)} modules in float; give more photos with --dataset, allow more, or "
            "export fp16; nothing was written"
        )

    def _ious(self, stays_float: Callable[[str], bool]) -> NDArray[np.float64]:
        """IoUs of every photo and kind of prompt, in processes side by side."""
        arrangement, records = self.simulation.arrange(stays_float), self.asked.records

        def ious(part: slice, steps: Steps) -> list[list[float]]:
            return [
                [
                    question.iou(self.simulation.run(arrangement, question.sample))
                    for question in asked
                ]
                for asked in map(self.asked.questions, records[part])
            ]

        parts = [slice(start, None, worker_count()) for start in range(worker_count())]
        found = np.empty((len(records), len(self.asked.kinds)))
        with open_workers(SilentSteps()) as workers:
            for part in parts:
                workers.start(partial(ious, part), 1.0)
            for part, rows in zip(parts, workers.results(), strict=True):
                found[part] = rows
        return found


def worth_keeping(modules: Sequence[ModuleSensitivity]) -> list[str]:
    """Names of modules that int8 hurts, the largest effect for its work first.

    Those whose interval is above zero come before all others. Modules that would bring the work
    in float over `MOST_FLOAT` are left out.
    """

    def rank(module: ModuleSensitivity) -> tuple[bool, float]:
        is_sure = module.gain.low > 0 or module.loss.low > 0
        return not is_sure, -_effect(module) / (module.work + _CONVERSIONS * total)

    total = sum(module.work for module in modules)
    room = MOST_FLOAT * total
    names = []
    for module in sorted(modules, key=rank):
        if _effect(module) > 0 and module.work <= room:
            room -= module.work
            names.append(module.name)
    return names


def _effect(module: ModuleSensitivity) -> float:
    """The points that it may be good for in float."""
    return max(module.gain.mean, module.loss.mean)


def describe_choice(choice: Choice) -> str:
    """One sentence, for who asked for the limit."""
    what = (
        "the gate's upper bound"
        if choice.bound_of == "gate"
        else "the upper end of the 95% interval"
    )
    found = f"a drift of {choice.drift.mean:.2f} points, {what} {choice.bound:.2f}"
    data = f"{choice.prompts} prompts on {choice.photos} photos"
    if not choice.kept:
        return f"--max-drift {choice.max_drift:g}: nothing need stay in float: {found} ({data})"
    total = sum(module.milliseconds for module in choice.kept)
    kept = ", ".join(
        f"{m.name} (loses {m.loss.mean:.2f} points alone in int8, gains {m.gain.mean:.2f} alone in "
        f"float, costs {m.milliseconds:.3f} ms)"
        for m in choice.kept
    )
    return (
        f"--max-drift {choice.max_drift:g}: kept in float for {total:.3f} ms on "
        f"{choice.timed_on}: {kept}; {found}, where all in int8 has a drift of "
        f"{choice.drift_int8.mean:.2f} and {choice.bound_int8:.2f} ({data})"
    )
