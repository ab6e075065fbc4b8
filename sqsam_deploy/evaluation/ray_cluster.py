"""An evaluation on a Ray cluster: one worker for every free core, wherever in the cluster it is.

The driver, which is the process that the user started, keeps plan and log; workers only answer.
So a worker or a node that dies costs the images that it was at, a node that joins gets workers at
once, and a head that dies costs no more than what was not in the log yet.
"""

import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqsam_deploy._internal.packages import missing_package
from sqsam_deploy._internal.temporary import scratch_directory
from sqsam_deploy.artifact.files import files_in
from sqsam_deploy.errors import (
    ArtifactError,
    EngineError,
    MissingDependencyError,
    SqsamError,
    first_line,
)
from sqsam_deploy.evaluation.evaluator import ImageResult, Task
from sqsam_deploy.evaluation.plan import Artifact, EvaluationPlan
from sqsam_deploy.evaluation.protocols import SaliencyPoints
from sqsam_deploy.evaluation.runner import evaluate_here, start_worker
from sqsam_deploy.evaluation.saliency import is_folder_of_maps
from sqsam_deploy.peers import Peer

#: Workers that may die over one image before the image is to blame.
_MOST_DEATHS = 3
#: Seconds after which the cluster is looked at for nodes that joined.
_LOOK_AGAIN = 2.0


@dataclass(frozen=True)
class RayCluster:
    """The processors of a Ray cluster.

    Attributes:
        address: The cluster; None is the one of this machine, or else a new one for this run.
        workers: The most of them; None is one for every core of the cluster, divided by the
            plan's threads.
    """

    address: str | None = None
    workers: int | None = None

    @contextmanager
    def results(
        self, plan: EvaluationPlan, tasks: Iterable[Task], count: int
    ) -> Iterator[Iterator[ImageResult]]:
        """See `runner.Engine`.

        Raises:
            MissingDependencyError: Ray is not installed.
            EngineError: The cluster cannot be reached, or was lost.
        """
        if not count:
            yield iter(())
            return
        ray = _import_ray()
        with _connected(ray, self.address):
            crew = _Crew(ray, plan, self.workers)
            try:
                yield crew.results(iter(tasks), count)
            finally:
                crew.dismiss()


def _import_ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError:
        raise MissingDependencyError(missing_package("ray")) from None
    return ray


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level="ERROR",
            **({} if address else {"include_dashboard": False}),
        )
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise EngineError(
            f"the Ray cluster at {address or 'this machine'} cannot be reached: {first_line(error)}"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


class _Worker:
    """An evaluator in a process of the cluster; `ray.remote` makes an actor of it."""

    def __init__(self, parcel: "_Parcel") -> None:
        # Some files are opened late. Ray ends workers by a signal, so what stays behind is removed
        # by the next one on the machine.
        self._folder = scratch_directory("ray")
        start_worker(parcel.unpacked(self._folder.__enter__()))

    def ready(self) -> None:
        """Returns once the artifacts are open."""

    def evaluate(self, task: Task) -> ImageResult:
        """One image."""
        return evaluate_here(task)


class _Crew:
    """All workers of a run, and what each is at."""

    def __init__(self, ray: Any, plan: EvaluationPlan, most: int | None) -> None:
        self._ray, self._plan, self._most = ray, plan, most
        self._remote = ray.remote(num_cpus=plan.threads, max_restarts=0)(_Worker)
        self._parcel = ray.put(_Parcel(ray, plan))
        self._starting: dict[Any, Any] = {}
        self._busy: dict[Any, tuple[Any, Task]] = {}
        self._idle: list[Any] = []
        self._again: deque[Task] = deque()
        self._deaths: Counter[str] = Counter()
        self._head = ray.get_runtime_context().gcs_address

    def results(self, tasks: Iterator[Task], count: int) -> Iterator[ImageResult]:
        """As they come."""
        left = count
        while left:
            if not _answers(self._head):
                raise EngineError(
                    "the head of the Ray cluster is gone: start it again and repeat the command, "
                    "which continues where it stopped"
                )
            self._hire(left)
            self._assign(tasks)
            waiting = [*self._starting, *self._busy]
            ready, _ = self._ray.wait(waiting, num_returns=1, timeout=_LOOK_AGAIN)
            for reference in ready:
                result = self._collect(reference)
                if result is not None:
                    left -= 1
                    yield result

    def dismiss(self) -> None:
        """Ends all workers, where there still is a head to tell."""
        if not _answers(self._head):
            return
        busy = [worker for worker, _ in self._busy.values()]
        for worker in (*self._starting.values(), *busy, *self._idle):
            self._ray.kill(worker)

    def _hire(self, left: int) -> None:
        """As many workers as there is room for; more when nodes have joined."""
        cores = int(self._ray.cluster_resources().get("CPU", 0)) // self._plan.threads
        wanted = min(self._most or cores, max(cores, 1), left)
        for _ in range(wanted - len(self._starting) - len(self._busy) - len(self._idle)):
            worker = self._remote.remote(self._parcel)
            self._starting[worker.ready.remote()] = worker

    def _assign(self, tasks: Iterator[Task]) -> None:
        while self._idle:
            task = self._again.popleft() if self._again else next(tasks, None)
            if task is None:
                return
            worker = self._idle.pop()
            self._busy[worker.evaluate.remote(task)] = worker, task

    def _collect(self, reference: Any) -> ImageResult | None:
        """The result behind a reference, or None where it was a start, or its worker died."""
        if reference in self._starting:
            worker, task = self._starting.pop(reference), None
        else:
            worker, task = self._busy.pop(reference)
        try:
            result: ImageResult | None = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, SqsamError):
                raise error.cause from None
            raise
        except self._ray.exceptions.RayError:
            self._bury(task)
            return None
        self._idle.append(worker)
        return result

    def _bury(self, task: Task | None) -> None:
        """A worker died, or its node did: what it was at is done by another."""
        name = task.record.id if task else "opening the artifacts"
        self._deaths[name] += 1
        if self._deaths[name] >= _MOST_DEATHS * (1 if task else 10):
            raise ArtifactError(
                f"{self._deaths[name]} workers ended at {name}: an artifact crashes its runtime, "
                "or memory ran out; run again with --engine processes --jobs 1 to see more"
            )
        if task:
            self._again.append(task)


def _answers(address: str) -> bool:
    """Whether something listens at HOST:PORT; Ray's own calls wait for a head that is gone."""
    host, _, port = address.rpartition(":")
    for _ in range(3):
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except OSError:
            time.sleep(1)
        else:
            return True
    return False


class _Parcel:
    """The files of a plan as Ray carries them: once to each node, however many workers it has.

    Photos, masks and folders of saliency maps are not among them.

    Args:
        ray: The module.
        plan: With paths of this machine.
    """

    def __init__(self, ray: Any, plan: EvaluationPlan) -> None:
        self._ray = ray
        self.files: dict[Path, Any] = {}
        self._roots: set[Path] = set()
        self._plan = _moved(plan, self._pack)

    def _pack(self, path: Path) -> Path:
        """Where a file or directory lies in the parcel; itself where it is not sent."""
        if not path.exists() or is_folder_of_maps(path):
            return path
        root = Path(f"{len(self._roots)}") / path.name
        self._roots.add(root)
        for file in files_in(path) if path.is_dir() else [path]:
            self.files[root / file.relative_to(path)] = self._ray.put(file.read_bytes())
        return root

    def unpacked(self, folder: Path) -> EvaluationPlan:
        """The plan with its files in a folder of the machine that this is called on."""
        for path, reference in self.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(self._ray.get(reference))
        return _moved(self._plan, lambda path: folder / path if path in self._roots else path)


def _moved(plan: EvaluationPlan, place: Callable[[Path], Path]) -> EvaluationPlan:
    """The plan with every path where `place` says."""
    return replace(
        plan,
        artifacts=tuple(_moved_artifact(artifact, place) for artifact in plan.artifacts),
        protocols=tuple(
            replace(protocol, source=place(protocol.source))
            if isinstance(protocol, SaliencyPoints)
            else protocol
            for protocol in plan.protocols
        ),
    )


def _moved_artifact(artifact: Artifact, place: Callable[[Path], Path]) -> Artifact:
    peer = artifact.metadata
    if isinstance(peer, Peer):
        moved = replace(peer, files=tuple(map(place, peer.files)))
        return replace(artifact, path=moved.files[0], metadata=moved)
    return replace(artifact, path=place(artifact.path))
