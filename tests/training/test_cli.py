import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from sqsam_deploy.checkpoint import load_checkpoint
from sqsam_deploy.training.log import LogRow, append_row, drop_rows_after, plot, read_rows
from tests.commands import run_command
from tests.training.conftest import write_coco, write_lvis


def test_run_writes_weights_log_curve_and_scores(photo_folder: Path, tmp_path: Path) -> None:
    output, shares = tmp_path / "run", tmp_path / "shares.toml"
    shares.write_text('[shares]\n"COCO-2017 instances" = 0\n')
    options = [
        *("--shares", shares, "--preset", "saliency"),
        *("--data", photo_folder, "--evaluation", photo_folder),
        *("--output", output, "--cache", tmp_path / "cache", "--samples", 40, "--batch-size", 8),
        *("--workers", 0, "--validate-every", 2, "--device", "cpu", "--license", "for tests"),
    ]
    done = run_command("train", *options)
    assert done.code == 0
    with safe_open(output / "weights.safetensors", framework="pt") as file:
        metadata = file.metadata()
    scores = json.loads(metadata["scores"])
    assert set(scores) == {"network", "frequency-tuned", "spectral residual"}
    # Only ECSSD's photos count.
    assert scores["network"]["images"] == 4
    assert scores == json.loads((output / "scores.json").read_text())
    assert metadata["license"] == "for tests"
    rows = read_rows(output / "log.csv")
    assert [row.step for row in rows] == [2, 4]
    assert 0 < rows[-1].values["val_mae"] < 1
    assert (output / "curve.png").stat().st_size > 1000
    assert "spectral residual" in done.stdout


@pytest.mark.parametrize("write", [write_coco, write_lvis])
def test_coco_and_lvis_files_are_trained_on(write: Callable[[Path], Path], tmp_path: Path) -> None:
    output, own = tmp_path / "run", tmp_path / "own.toml"
    own.write_text('base = "fine-tune"\nmixes = [1.0]\n')
    options = [
        *("--preset", own, "--initial-weights", "nano"),
        *("--data", write(tmp_path), "--output", output),
        *("--cache", tmp_path / "cache", "--samples", 4, "--batch-size", 2, "--workers", 0),
        *("--device", "cpu", "--precision", "fp32"),
    ]
    assert run_command("train", *options).code == 0
    trained = load_checkpoint(output / "weights.safetensors").model.state_dict()
    before = load_checkpoint("nano").model.state_dict()
    changed = {name for name in before if not torch.equal(trained[name], before[name])}
    # The decoder has learned, the encoder has not.
    assert any(name.startswith("decoder.") for name in changed)
    assert not any(name.startswith("encoder.") for name in changed)


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (("--preset", "giant"), 2, "no training recipe for 'giant'"),
        (("--initial-weights", "missing.pt"), 3, "missing.pt does not exist"),
        (("--initial-weights", "papr"), 2, "choose paper, nano, saliency"),
        (("--preset", "nano", "--initial-weights", "paper"), 2, "of preset 'paper', not 'nano'"),
        (("--preset", "paper", "--initial-weights", "nano"), 2, "--grow-from"),
        (("--preset", "nano", "--grow-from", "paper"), 2, "grows from no other network"),
        (("--grow-from", "nano", "--initial-weights", "nano"), 2, "exclude each other"),
        (("--shares", "nowhere.toml"), 2, "nowhere.toml cannot be read: No such file"),
        (("--evaluation", "nowhere"), 3, "nowhere does not exist"),
        pytest.param(
            *(("--device", "cuda"), 2, "no CUDA GPU here"),
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
        ((), 3, "neither index.json"),
    ],
)
def test_mistakes_are_one_sentence_and_a_code(
    options: tuple[str, ...],
    code: int,
    sentence: str,
    tmp_path: Path,
) -> None:
    data = tmp_path / "empty"
    data.mkdir()
    given = ("--data", data, "--output", tmp_path / "run", "--device", "cpu", *options)
    done = run_command("train", *given)
    assert done.code == code
    assert sentence in done.stderr and "Traceback" not in done.stderr


def test_log_comes_back_and_is_cut_where_a_run_resumes(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    rows = [
        LogRow(n, 4 * n, 0.5 * n, 1e-3, 30.0, {"loss": 1 / n, "val_miou_box": 0.25})
        for n in (1, 2, 3)
    ]
    for row in rows:
        append_row(path, row)
    with path.open("a") as file:
        file.write("4,16,2")  # killed in the middle of a line
    drop_rows_after(path, 2)
    kept = read_rows(path)
    assert [row.step for row in kept] == [1, 2]
    assert kept[1].values == pytest.approx(rows[1].values)
    plot(kept, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").exists()
