"""The same results from a Ray cluster as from this process, whatever dies in it.

The cluster is Ray's own, of several nodes on this machine.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from sqsam_deploy.checkpoint.saving import save_checkpoint
from sqsam_deploy.datasets import Dataset, bundled_dataset, subset
from sqsam_deploy.errors import ArtifactError, DataError
from sqsam_deploy.evaluation.discovery import find_artifacts
from sqsam_deploy.evaluation.plan import EvaluationPlan
from sqsam_deploy.evaluation.protocols import GroundTruthBoxes
from sqsam_deploy.evaluation.ray_cluster import RayCluster
from sqsam_deploy.evaluation.runner import run_plan
from sqsam_deploy.model.config import NANO
from sqsam_deploy.model.network import SqueezeSAM

ray = pytest.importorskip("ray")
cluster_utils = pytest.importorskip("ray.cluster_utils")


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    directory = tmp_path_factory.mktemp("artifacts")
    torch.manual_seed(0)
    for name in ("a", "b"):
        save_checkpoint(SqueezeSAM(NANO).eval(), directory / f"{name}.safetensors", {})
    artifacts = find_artifacts(directory, reference=Path("a.safetensors"))
    return EvaluationPlan(artifacts, (GroundTruthBoxes(),), clicking=False, threads=1)


@pytest.fixture(scope="module")
def dataset():
    return subset(bundled_dataset("sample"), 7, seed=1)


@pytest.fixture(scope="module")
def cluster():
    # A node that is gone is missed after five refusals: two seconds instead of fifteen.
    config = {"health_check_period_ms": 300}
    nodes = cluster_utils.Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": config}
    )
    yield nodes
    nodes.shutdown()


def test_a_node_that_dies_and_one_that_joins_change_nothing(plan, dataset, cluster, tmp_path):
    mortal = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()

    def disturb(done: int) -> None:
        if done == 2:
            cluster.add_node(num_cpus=1)
        if done == 4:
            cluster.remove_node(mortal, allow_graceful=False)

    engine = RayCluster(cluster.address)
    run = run_plan(plan, dataset, tmp_path / "ray", engine=engine, progress=disturb)
    alone = run_plan(plan, dataset, tmp_path / "alone")
    assert [image.objects for image in run.images] == [image.objects for image in alone.images]


@dataclass(frozen=True)
class _Deadly:
    """Ends the process, or raises, when an image is asked about."""

    image: str
    kinds: tuple[str, ...] = ("box",)

    def queries(self, scene):
        if scene.record.id == self.image:
            os._exit(1)
        raise DataError("no prompt")


def test_an_image_that_ends_every_worker_is_named(plan, dataset, cluster, tmp_path):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    two = Dataset("two", dataset.images[:2])
    image = two.images[1].id
    deadly = EvaluationPlan(plan.artifacts, (_Deadly(image),), clicking=False, threads=1)
    with pytest.raises(ArtifactError, match=image):
        run_plan(deadly, two, tmp_path, engine=RayCluster(cluster.address))
