import itertools
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from sqsam_deploy.errors import CheckpointError, UsageError
from sqsam_deploy.training.distributed import Processes
from sqsam_deploy.training.log import read_rows
from sqsam_deploy.training.processor import Precision, fastest_precision
from sqsam_deploy.training.recipe import RECIPES
from sqsam_deploy.training.session import (
    DataOptions,
    Reports,
    Start,
    open_task,
    read_start,
)
from sqsam_deploy.training.task import Task
from sqsam_deploy.training.trainer import RunOptions, Trainer, parameter_groups, warm_start
from tests.training.small_run import BATCH, STEPS, small_run

SCRIPT = Path(__file__).with_name("small_run.py")
ALONE = Processes(0, 1, torch.device("cpu"))
PRECISION = fastest_precision("cpu")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def finished(photo_folder: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run of a few steps that nothing interrupted."""
    output = tmp_path_factory.mktemp("run") / "finished"
    _run(photo_folder, cache, output)
    return output


def _run(photos: Path, cache: Path, output: Path) -> None:
    threads = torch.get_num_threads()
    try:
        small_run(photos, cache, output, kill_at=0)
    finally:
        torch.set_num_threads(threads)


def _start(
    photos: Path, cache: Path, output: Path, kill_at: int, launcher: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own, or in several."""
    arguments = [str(SCRIPT), str(photos), str(cache), str(output), str(kill_at)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def _task(photos: Path, cache: Path, samples: int = 8, batch_size: int = 4) -> Task:
    plan = RECIPES["nano"]
    small = replace(plan.optimization, samples=samples, batch_size=batch_size, warmup_samples=1)
    options = DataOptions(photos, cache, 0.01, 1)
    return open_task(Start(replace(plan, optimization=small)), options, ALONE, Reports())


def test_killed_run_resumes_to_the_same_weights(
    photo_folder: Path, cache: Path, finished: Path, tmp_path: Path
) -> None:
    output = tmp_path / "killed"
    killed = _start(photo_folder, cache, output, kill_at=3)
    assert killed.returncode == -signal.SIGKILL
    assert torch.load(output / "last.pt", weights_only=True)["step"] == 2
    _run(photo_folder, cache, output)
    resumed = load_file(output / "weights.safetensors")
    uninterrupted = load_file(finished / "weights.safetensors")
    for name, value in uninterrupted.items():
        assert torch.equal(resumed[name], value), name
    rows = read_rows(output / "log.csv")
    assert [row.step for row in rows] == list(range(1, STEPS + 1))
    whole = [row.values["loss"] for row in read_rows(finished / "log.csv")]
    assert [row.values["loss"] for row in rows] == whole


def test_finished_run_has_nothing_left_to_do(
    photo_folder: Path, cache: Path, finished: Path
) -> None:
    before = load_file(finished / "weights.safetensors")
    _run(photo_folder, cache, finished)
    after = load_file(finished / "weights.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_two_processes_train_the_same_weights(
    photo_folder: Path, cache: Path, tmp_path: Path
) -> None:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    output = tmp_path / "two"
    done = _start(photo_folder, cache, output, 0, launcher)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line.split() for line in sorted(done.stdout.splitlines()) if "weights" in line]
    assert [line[1] for line in lines] == ["0", "1"]
    assert lines[0][3] == str(STEPS)
    assert lines[0][5] == lines[1][5]
    rows = read_rows(output / "log.csv")
    # The batch is divided among the processes, not multiplied.
    assert rows[-1].samples == STEPS * BATCH
    assert len(list(output.glob("*.safetensors"))) == 1


def test_weights_are_half_precision_and_say_what_they_are(finished: Path) -> None:
    with safe_open(finished / "weights.safetensors", framework="pt") as file:
        metadata = file.metadata()
    assert metadata["format"] == "sqsam-checkpoint/1"
    assert metadata["preset"] == "nano"
    assert '"learning_rate": 0.0015' in metadata["recipe"]
    assert '"ECSSD": ' in metadata["data"]
    tensors = load_file(finished / "weights.safetensors")
    assert {t.dtype for t in tensors.values()} == {torch.float16, torch.int64}


def test_weights_load_as_a_checkpoint_of_their_preset(finished: Path) -> None:
    from sqsam_deploy.checkpoint.loading import load_checkpoint

    checkpoint = load_checkpoint(finished / "weights.safetensors")
    assert checkpoint.config.name == "nano"


def test_loss_falls_on_few_photos(photo_folder: Path, cache: Path, tmp_path: Path) -> None:
    task = _task(photo_folder, cache, samples=80, batch_size=4)
    trainer = Trainer(task, RunOptions(tmp_path, PRECISION, workers=0), ALONE)
    batches = [task.batches(ALONE)[number] for number in range(4)]

    def loss() -> float:
        """Of the averaged weights, on the same samples each time."""
        model = task.new_model()
        model.load_state_dict(trainer.weights(), strict=False)
        with torch.no_grad():
            return sum(task.losses(model.train(), batch)[0].item() for batch in batches) / 4

    before = loss()
    trainer.run()
    assert loss() < 0.7 * before


def test_mixed_precision_has_the_loss_of_float32(
    photo_folder: Path, cache: Path, tmp_path: Path
) -> None:
    def first_loss(precision: Precision) -> float:
        folder = tmp_path / precision
        options = RunOptions(folder, precision, workers=0, log_every=1)
        Trainer(_task(photo_folder, cache, samples=4), options, ALONE).run()
        return read_rows(folder / "log.csv")[-1].values["loss"]

    mixed, single = first_loss("bf16"), first_loss("fp32")
    assert mixed != single
    assert mixed == pytest.approx(single, rel=0.02)


def test_run_of_another_recipe_is_not_resumed(
    photo_folder: Path, cache: Path, finished: Path
) -> None:
    with pytest.raises(UsageError, match="holds a run of another recipe"):
        Trainer(_task(photo_folder, cache), RunOptions(finished, PRECISION), ALONE)


def test_damaged_state_is_named(photo_folder: Path, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(CheckpointError, match=r"last\.pt is not the state of a training run"):
        Trainer(_task(photo_folder, cache), RunOptions(tmp_path, PRECISION), ALONE)


def test_time_budget_ends_the_run_with_a_decayed_rate(
    photo_folder: Path, cache: Path, tmp_path: Path
) -> None:
    # A clock that every look at it moves on by a tenth of a second.
    ticks = itertools.count()
    task = _task(photo_folder, cache, samples=400_000)
    options = RunOptions(tmp_path, PRECISION, workers=0, log_every=1, max_minutes=0.05)
    Trainer(task, options, ALONE, clock=lambda: next(ticks) / 10).run()
    rates = [row.learning_rate for row in read_rows(tmp_path / "log.csv")]
    assert 2 < len(rates) <= 30
    assert rates[-1] < 0.5 * max(rates)


def test_batch_that_cannot_be_divided_is_refused(
    photo_folder: Path, cache: Path, tmp_path: Path
) -> None:
    task = _task(photo_folder, cache, batch_size=5)
    three = Processes(0, 3, torch.device("cpu"))
    with pytest.raises(UsageError, match="batch size 5 is not a multiple of 3"):
        task.batches(three)


def test_norms_biases_and_tokens_do_not_decay() -> None:
    from sqsam_deploy.model.config import NANO
    from sqsam_deploy.model.network import SqueezeSAM

    model = SqueezeSAM(NANO)
    decaying, constant = (group["params"] for group in parameter_groups(model, 0.1))
    assert len(decaying) + len(constant) == len(list(model.parameters()))
    kept = {id(parameter) for parameter in constant}
    assert id(model.mask_tokens) in kept and id(model.iou_token) in kept
    assert {parameter.ndim for parameter in decaying} == {2, 4}


def test_warm_start_takes_what_fits_and_refuses_nothing() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 3))
    warm_start(model, {"0.weight": torch.ones(2, 2), "1.weight": torch.ones(5, 5)})
    assert (model[0].weight == 1).all() and not (model[1].weight == 1).any()
    with pytest.raises(UsageError, match="none of the initial weights"):
        warm_start(model, {"other": torch.ones(1)})


def test_initial_weights_of_another_preset_are_refused(finished: Path) -> None:
    with pytest.raises(UsageError, match="holds a network of preset 'nano', not 'paper'"):
        read_start(finished / "weights.safetensors", RECIPES["paper"])
