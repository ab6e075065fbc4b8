"""Arguments of every command: each option is given once, and the job sees it.

The job itself is replaced: what it is called with is all that counts here.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

Called = tuple[tuple[Any, ...], dict[str, Any]]


class Started(BaseException):
    """Ends a command where its job would start."""

    def __init__(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        super().__init__()
        self.called: Called = (arguments, options)


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Called]:
    """Runs a command's entry point up to its job, and returns what the job was called with."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SQSAM_STORE", str(tmp_path / "store"))

    def stop(*arguments: Any, **options: Any) -> None:
        raise Started(arguments, options)

    def run(verb: str, job: str, *words: object) -> Called:
        monkeypatch.setattr(f"sqsam_deploy.{job}", stop)
        monkeypatch.setattr(sys, "argv", [f"sqsam-{verb}", *map(str, words)])
        with pytest.raises(Started) as started:
            import_module(f"sqsam_deploy.cli.{verb}").main()
        return started.value.called

    return run


def fields(value: object, *names: str) -> dict[str, object]:
    return {name: getattr(value, name) for name in names}


def cores() -> int:
    from sqsam_deploy._internal.workers import usable_cores

    return usable_cores()


# export

EXPORT_DEFAULTS = {
    "output": Path("artifacts"),
    "checkpoint": "paper",
    "calibration": None,
    "calibration_size": None,
    "seed": 0,
    "with_saliency": True,
    "recipe": None,
}
INT8 = {
    ("executorch", "int8"),
    ("coreml", "int8"),
    ("coreml", "int8-weights"),
    ("onnx", "int8"),
}
FP16 = {("executorch", "fp16"), ("coreml", "fp16"), ("onnx", "fp16")}
FP32 = {("executorch", "fp32"), ("coreml", "fp32"), ("onnx", "fp32")}
PALETTIZED = {("coreml", "palettized-6bit"), ("coreml", "palettized-4bit")}


@pytest.mark.parametrize(
    ("words", "pairs", "changed"),
    [
        ((), INT8, {}),
        (("--int8",), INT8, {}),
        (("--fp16",), FP16, {}),
        (("--fp32", "--fp16"), FP16 | FP32, {}),
        (("--all",), INT8 | FP16 | FP32 | PALETTIZED, {}),
        (("--precision", "int8-weights"), {("coreml", "int8-weights")}, {}),
        (
            ("--fp32", "--precision", "fp16", "--precision", "fp32", "--runtime", "onnx"),
            {("onnx", "fp16"), ("onnx", "fp32")},
            {},
        ),
        (("--runtime", "onnx"), {("onnx", "int8")}, {}),
        (
            ("--runtime", "onnx", "--runtime", "executorch-coreml", "--fp16"),
            {("onnx", "fp16"), ("executorch-coreml", "fp16")},
            {},
        ),
        (("--no-saliency",), INT8, {"with_saliency": False}),
        (("-o", "out"), INT8, {"output": Path("out")}),
        (("--output", "out"), INT8, {"output": Path("out")}),
        (("--checkpoint", "w.pt"), INT8, {"checkpoint": Path("w.pt")}),
        (
            ("--calibration", "photos", "--calibration-size", 3, "--seed", 7),
            INT8,
            {"calibration": Path("photos"), "calibration_size": 3, "seed": 7},
        ),
        (("--recipe", "iphone-cpu"), {("executorch", "int8")}, {"recipe": "iphone-cpu"}),
    ],
)
def test_export(
    start: Callable[..., Called],
    words: tuple[object, ...],
    pairs: set[tuple[str, str]],
    changed: dict[str, object],
) -> None:
    (request, *_), _ = start("export", "pipeline.export.export", *words)
    assert {(target.runtime, target.precision) for target in request.targets} == pairs
    assert fields(request, *EXPORT_DEFAULTS) == EXPORT_DEFAULTS | changed


def test_export_check_reproducible(start: Callable[..., Called]) -> None:
    job = "pipeline.reproducibility.check_reproducible"
    words = ("--check-reproducible", "done", "--checkpoint", "w.pt", "--calibration", "photos")
    (directory, source), _ = start("export", job, *words)
    assert directory == Path("done")
    assert fields(source, "checkpoint", "calibration") == {
        "checkpoint": Path("w.pt"),
        "calibration": Path("photos"),
    }


# parity

PARITY_DEFAULTS = {
    "directory": Path("artifacts"),
    "report_directory": Path("artifacts"),
    "dataset": None,
    "images": None,
    "lvis": None,
    "category": None,
    "single_object": False,
    "only": (),
    "reference": None,
    "box": True,
    "clicks": (1, 3),
    "jitter": 0.0,
    "detections": None,
    "saliency": None,
    "score": False,
    "whole_objects": False,
    "clicking": False,
    "count": None,
    "seed": 0,
    "max_drift": None,
    "min_agreement": None,
    "baseline": None,
    "threads": 1,
    "device": "cpu",
}


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        ((), {}),
        (("--dataset", "c.json", "--images", "photos"), {"dataset": "c.json", "images": "photos"}),
        (("--lvis", "l.json"), {"lvis": "l.json"}),
        (
            ("--category", "person", "--single-object"),
            {"category": "person", "single_object": True},
        ),
        (("--prompts", "6-clicks, 2-clicks"), {"box": False, "clicks": (2, 6)}),
        (("--prompts", "box"), {"clicks": ()}),
        (
            ("--prompts", "none", "--whole-objects"),
            {"box": False, "clicks": (), "whole_objects": True},
        ),
        (("--jitter", 2.5), {"jitter": 2.5}),
        (("--detections", "d.json"), {"detections": "d.json"}),
        (("--saliency", "maps"), {"saliency": "maps"}),
        (("--score",), {"score": True}),
        (("--whole-objects",), {"whole_objects": True}),
        (("--clicking",), {"clicking": True}),
        (("--max-drift", "1-click=2"), {"max_drift": "1-click=2"}),
        (("--min-agreement", "0.9"), {"min_agreement": 0.9}),
        (("--baseline", "old.csv"), {"baseline": "old.csv"}),
        (("--reference", "f.pt"), {"reference": "f.pt"}),
        (("--only", "a.onnx", "--only", "b.pte"), {"only": ("a.onnx", "b.pte")}),
        (("--count", 5, "--seed", 3), {"count": 5, "seed": 3}),
        (("--threads", 2), {"threads": 2}),
        (("--device", "cuda:1"), {"device": "cuda:1"}),
        (("-o", "out"), {"report_directory": "out"}),
        (("--output", "out"), {"report_directory": "out"}),
    ],
)
def test_parity(
    start: Callable[..., Called], words: tuple[object, ...], changed: dict[str, object]
) -> None:
    job = "report.parity.evaluate"
    (request, *_), _ = start("parity", job, "artifacts", *words)
    expected = {
        name: Path(value)
        if isinstance(value, str) and name not in ("category", "device", "max_drift")
        else value
        for name, value in (PARITY_DEFAULTS | changed).items()
    }
    assert fields(request, *PARITY_DEFAULTS) == expected
    assert request.processes == cores()


def test_parity_jobs(start: Callable[..., Called]) -> None:
    (request, *_), _ = start("parity", "report.parity.evaluate", "a", "--jobs", 3)
    assert request.processes == 3


# bench


@pytest.mark.parametrize("verb", [(), ("run",)])
def test_bench_run(start: Callable[..., Called], verb: tuple[str, ...]) -> None:
    from sqsam_deploy.benchmark.suite import measurement_plan

    (request,), _ = start("bench", "benchmark.suite.run_suite", *verb, "a", "b")
    assert request.directories == (Path("a"), Path("b"))
    assert (request.torch, request.peak, request.peers) == (True, True, None)
    plan = measurement_plan(request)
    assert (plan.rounds, plan.processes, plan.profiled) == (12, 4, 10)
    assert plan.threads[0] == 1
    assert plan.threads[-1] == cores()


def test_bench_run_with_every_option(start: Callable[..., Called]) -> None:
    from sqsam_deploy.benchmark.suite import measurement_plan

    words = ("--threads", "1", "--rounds", 4, "--processes", 2, "--no-torch", "--no-peak")
    words += ("--no-profile", "--peers", "others", "-o", "results", "--peer", "A=a.onnx+b.onnx")
    (request,), _ = start("bench", "benchmark.suite.run_suite", "a", *words)
    assert request.peer == ("A=a.onnx+b.onnx",)
    assert (request.torch, request.peak, request.peers) == (False, False, Path("others"))
    plan = measurement_plan(request)
    assert plan.threads == (1,)
    assert (plan.rounds, plan.processes, plan.profiled) == (4, 2, 0)


def test_bench_cuda(start: Callable[..., Called], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqsam_deploy.benchmark.cuda.run.require_gpu", lambda: "gpu")
    words = ("--preset", "nano", "--modes", "eager", "--precisions", "fp16,bf16")
    words += ("--batches", "1,4", "--onnx", "f.onnx", "--rounds", 3, "-o", "results")
    (plan, device, _), _ = start("bench", "benchmark.cuda.run.measure_cuda", "cuda", *words)
    assert device == "gpu"
    assert (plan.preset_name, plan.onnx, plan.rounds) == ("nano", Path("f.onnx"), 3)
    assert {(case.mode, case.precision, case.batch) for case in plan.cases} == {
        ("eager", precision, batch) for precision in ("fp16", "bf16") for batch in (1, 4)
    }


def test_bench_ios(start: Callable[..., Called], monkeypatch: pytest.MonkeyPatch) -> None:
    xcode = "sqsam_deploy.benchmark.phones.xcode"
    monkeypatch.setattr(f"{xcode}.require_xcode", lambda: None)
    monkeypatch.setattr(f"{xcode}.list_phones", lambda: ("phones",))
    monkeypatch.setattr(f"{xcode}.choose_phone", lambda phones, name: (*phones, name))
    words = ("a", "b", "--device", "Mine", "--team", "T1", "--rounds", 11, "--harness", "app")
    job = "benchmark.phones.ios.measure_on_phone"
    (run, phone), _ = start("bench", job, "ios", *words, "-o", "results")
    assert tuple(run.directories) == (Path("a"), Path("b"))
    assert (run.team, run.harness, run.rounds) == ("T1", Path("app"), 11)
    assert phone == ("phones", "Mine")


def test_bench_readme(start: Callable[..., Called]) -> None:
    job = "benchmark.readme.write_readme"
    assert start("bench", job, "readme")[0] == (
        Path("benchmarks/results"),
        Path("benchmarks/README.md"),
    )
    words = ("readme", "--results", "r", "-o", "t.md")
    assert start("bench", job, *words)[0] == (Path("r"), Path("t.md"))


def test_bench_import(start: Callable[..., Called], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqsam_deploy.benchmark.resultfile.read_result", lambda path: path)
    monkeypatch.setattr("sqsam_deploy.artifact.manifest.read_manifest", lambda path: path)
    words = ("phone.json", "--artifacts", "a", "--artifacts", "b", "--output", "results")
    job = "benchmark.phones.checks.check_phone_result"
    (result, manifests), _ = start("bench", job, "import", *words)
    assert result == Path("phone.json")
    assert list(manifests) == [Path("a"), Path("b")]


# publish and pull


def test_publish(start: Callable[..., Called]) -> None:
    job = "release.publish.publish"
    (store, request, *_), _ = start("publish", job, "done", "--release", "1.2.0")
    assert store.url.endswith("/store")
    assert request.directory == Path("done")
    assert str(request.version) == "1.2.0"
    assert (request.name, request.parity, request.sign_key) == (None, None, None)
    assert (request.benchmarks, request.tags) == ((), ())
    assert (request.keyless, request.allow_unverified) == (False, False)


def test_publish_with_every_option(start: Callable[..., Called]) -> None:
    words = ("done", "elsewhere", "--release", "1.2.0-rc.1", "--name", "mine")
    words += ("--tag", "stable", "--tag", "beta", "--parity", "p.json")
    words += ("--bench", "a.json", "--bench", "b.json", "--keyless", "--allow-unverified")
    (store, request, *_), _ = start("publish", "release.publish.publish", *words)
    assert store.url.endswith("elsewhere")
    assert str(request.version) == "1.2.0-rc.1"
    assert (request.name, request.parity) == ("mine", Path("p.json"))
    assert request.tags == ("stable", "beta")
    assert request.benchmarks == (Path("a.json"), Path("b.json"))
    assert request.allow_unverified
    assert request.keyless


def test_publish_with_a_key(start: Callable[..., Called]) -> None:
    words = ("done", "elsewhere", "--release", "1.2.0", "--sign-key", "key.pem")
    (_, request, *_), _ = start("publish", "release.publish.publish", *words)
    assert request.sign_key == Path("key.pem")


def test_publish_tag(start: Callable[..., Called]) -> None:
    words = ("tag", "elsewhere", "mine@1.0.0", "stable")
    (store, name, tag, version), _ = start("publish", "release.catalog.move_tag", *words)
    assert store.url.endswith("elsewhere")
    assert (name, tag, str(version)) == ("mine", "stable", "1.0.0")


def test_pull(start: Callable[..., Called]) -> None:
    (source, request, *_), _ = start("pull", "release.pull.pull", "mine")
    assert source.store.url.endswith("/store")
    assert (request.reference, request.directory) == ("mine", Path("mine"))
    assert (request.runtimes, request.precisions, request.format) == ((), (), "plain")
    assert (request.verify_key, request.identity) == (None, None)
    assert (request.allow_older, request.overwrite) == (False, False)


def test_pull_with_every_option(start: Callable[..., Called]) -> None:
    words = ("mine@1.0.0", "--store", "elsewhere", "--runtime", "onnx", "--precision", "int8")
    words += ("--runtime", "coreml", "--lock", "l.lock", "--offline")
    words += ("--format", "swift-package", "--output", "out")
    words += ("--identity", "me@example.org", "--identity-issuer", "https://example.org")
    words += ("--allow-older", "--overwrite")
    (source, request, *_), _ = start("pull", "release.pull.pull", *words)
    assert source.store.url.endswith("elsewhere")
    assert type(source.store).__name__ == "OfflineStore"
    assert request.reference == "mine@1.0.0"
    assert (request.runtimes, request.precisions) == (("onnx", "coreml"), ("int8",))
    assert (request.format, request.directory) == ("swift-package", Path("out"))
    assert (request.allow_older, request.overwrite) == (True, True)
    assert fields(request, "identity", "identity_issuer") == {
        "identity": "me@example.org",
        "identity_issuer": "https://example.org",
    }


def test_pull_with_a_key(start: Callable[..., Called]) -> None:
    (_, request, *_), _ = start("pull", "release.pull.pull", "mine", "--verify-key", "k.pub")
    assert request.verify_key == Path("k.pub")


def test_pull_list_and_diff(start: Callable[..., Called]) -> None:
    (store,), _ = start("pull", "release.catalog.read_index", "list", "mine", "--store", "other")
    assert store.url.endswith("other")
    words = ("diff", "mine@1.0.0", "@1.1.0", "--store", "other", "--offline")
    (url,), _ = start("pull", "release.store.open_store", *words)
    assert url == "other"


# train

TRAIN_DEFAULTS: dict[str, object] = {
    "output": Path("run"),
    "workers": 1,
    "max_minutes": None,
    "validate_every": 1000,
}


class _Processes:
    leads = True
    world_size = 1

    class device:  # noqa: N801
        type = "cpu"


@pytest.fixture
def train(start: Callable[..., Called], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The arguments of the run's three stages: opening the data, training, scoring."""
    import torch

    session = "sqsam_deploy.training.session"
    stages: dict[str, tuple[Any, ...]] = {}

    def note(stage: str) -> Callable[..., str]:
        def called(*arguments: Any) -> str:
            stages[stage] = arguments
            return stage

        return called

    def read(source: Path | str | None, plan: Any) -> Any:
        from sqsam_deploy.training.session import Start

        stages["read_start"] = (source,)
        return Start(plan)

    def run(*words: object) -> dict[str, tuple[Any, ...]]:
        for stage in ("open_task", "train"):
            monkeypatch.setattr(f"{session}.{stage}", note(stage))
        monkeypatch.setattr(f"{session}.read_start", read)
        monkeypatch.setattr("sqsam_deploy.training.readers.find_items", lambda path: [])
        monkeypatch.setattr("sqsam_deploy.training.distributed.join", _join)
        monkeypatch.setattr(torch, "set_num_threads", note("threads"))
        words = ("--data", "photos", "--output", "run", "--evaluation", "held-out", *words)
        stages["evaluate"] = start("train", "training.session.evaluate", *words)[0]
        return stages

    def _join(device: str) -> _Processes:
        stages["device"] = (device,)
        return _Processes()

    return run


def test_train(train: Callable[..., Any]) -> None:
    from sqsam_deploy.training.recipe import recipe

    stages = train()
    start, data, *_ = stages["open_task"]
    assert start.recipe == recipe("fine-tune")
    assert stages["read_start"] == ("paper",)
    assert fields(data, "data", "cache") == {"data": Path("photos"), "cache": Path("runs/prepared")}
    _, options, _, started, *_ = stages["train"]
    assert fields(options, *TRAIN_DEFAULTS) == TRAIN_DEFAULTS
    assert options.execution == "eager"
    assert options.precision in ("bf16", "fp32")
    assert started is start
    assert stages["device"] == ("auto",)
    assert Path("held-out") in stages["evaluate"]
    assert "threads" not in stages


def test_train_with_every_option(train: Callable[..., Any], tmp_path: Path) -> None:
    from sqsam_deploy.training.recipe import recipe

    shares = tmp_path / "shares.toml"
    shares.write_text("[shares]\nmine = 2\n")
    words = ("--preset", "paper", "--cache", "prepared", "--initial-weights", "w.pt")
    words += ("--samples", 6400, "--batch-size", 8, "--learning-rate", "1e-3", "--seed", 4)
    words += ("--max-minutes", "1.5", "--device", "cpu", "--precision", "fp32")
    words += ("--execution", "compiled", "--workers", 2, "--threads", 3)
    words += ("--validate-every", 50, "--license", "CC0-1.0", "--shares", shares)
    stages = train(*words)
    start, data, *_ = stages["open_task"]
    plan = start.recipe
    assert plan.source_weights == (("mine", 2.0),)
    expected = {"samples": 6400, "batch_size": 8, "learning_rate": 1e-3, "seed": 4}
    assert fields(plan.optimization, *expected) == expected
    usual = recipe("paper").optimization
    share = usual.warmup_samples / usual.samples
    assert plan.optimization.warmup_samples == round(share * 6400)
    assert data.cache == Path("prepared")
    assert stages["read_start"][0] == Path("w.pt")
    _, options, _, started, *_ = stages["train"]
    expected = {
        "precision": "fp32",
        "execution": "compiled",
        "workers": 2,
        "max_minutes": 1.5,
        "validate_every": 50,
    }
    assert fields(options, *expected) == expected
    assert started is start
    assert stages["device"] == ("cpu",)
    assert stages["threads"] == (3,)
    assert "CC0-1.0" in stages["evaluate"]


# demo and predict


def test_demo(start: Callable[..., Called], monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[object, ...]] = []

    def note(*arguments: object) -> object:
        opened.append(arguments)
        return type("Session", (), {"metadata": None})()

    monkeypatch.setattr("sqsam_deploy.runtimes.open_session", note)
    monkeypatch.setattr("sqsam_deploy.saliency.open_saliency", note)
    words = ("a.onnx", "--saliency", "s.onnx", "--threads", 2)
    start("demo", "demo.studio.Studio", *words)
    assert opened == [(Path("a.onnx"), 2), (Path("s.onnx"), 2)]


def test_demo_host_and_port(start: Callable[..., Called]) -> None:
    words = ("--host", "0.0.0.0", "--port", 0)
    assert start("demo", "demo.serving.listen", *words)[0] == ("0.0.0.0", 0)
    assert start("demo", "demo.serving.listen")[0] == ("127.0.0.1", 8765)
