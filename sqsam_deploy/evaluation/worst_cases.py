"""The objects that lost most, predicted once more for a look at them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.datasets import Dataset
from sqsam_deploy.evaluation.drift import Pair, pair_results
from sqsam_deploy.evaluation.evaluator import Evaluator, open_scene
from sqsam_deploy.evaluation.plan import Artifact, EvaluationPlan
from sqsam_deploy.evaluation.protocols import Query, Scene
from sqsam_deploy.evaluation.results import ObjectResult
from sqsam_deploy.evaluation.segmenters import open_artifact

#: Objects shown for each artifact.
SHOWN = 6


@dataclass(frozen=True)
class WorstCase:
    """One object, as the float reference and an artifact cut it out.

    Attributes:
        artifact: The artifact's name.
        reference: The float reference's name.
        pair: The two results.
        image: HxWx3 uint8.
        query: With the prompt.
        truth: HxW bool.
        before: HxW bool, the reference's mask.
        after: HxW bool, the artifact's mask.
    """

    artifact: str
    reference: str
    pair: Pair
    image: NDArray[np.uint8]
    query: Query
    truth: NDArray[np.bool_]
    before: NDArray[np.bool_]
    after: NDArray[np.bool_]


def worst_objects(
    plan: EvaluationPlan,
    dataset: Dataset,
    results: Mapping[str, Sequence[ObjectResult]],
    shown: int = SHOWN,
) -> Iterator[WorstCase]:
    """For each artifact the objects with the largest drift, one prompt an object, worst first.

    Args:
        plan: What was evaluated.
        dataset: On what.
        results: Per-object results by artifact name.
        shown: Objects an artifact.
    """
    by_name = {artifact.name: artifact for artifact in plan.artifacts}
    for artifact in plan.artifacts:
        if artifact.is_reference:
            continue
        two = {name: by_name[name] for name in (artifact.reference, artifact.name)}
        sessions = {name: open_artifact(a, plan) for name, a in two.items()}
        evaluator = Evaluator(plan, sessions)
        pairs = pair_results(results[artifact.reference], results[artifact.name])
        for pair in _worst(pairs, shown):
            yield _worst_case(pair, two[artifact.reference], artifact, plan, dataset, evaluator)


def _worst(pairs: Sequence[Pair], shown: int) -> list[Pair]:
    """Largest drift first; an object that lost with several prompts is shown once."""
    worst: dict[tuple[str, str], Pair] = {}
    for pair in sorted(pairs, key=lambda pair: -pair.drift):
        if pair.drift > 0:
            worst.setdefault((pair.after.image, pair.after.object), pair)
    return list(worst.values())[:shown]


def _worst_case(
    pair: Pair,
    reference: Artifact,
    artifact: Artifact,
    plan: EvaluationPlan,
    dataset: Dataset,
    evaluator: Evaluator,
) -> WorstCase:
    record = next(record for record in dataset if record.id == pair.after.image)
    scene = open_scene(record)
    query = _find_query(plan, scene, pair.after)
    index = next(i for i, item in enumerate(scene.record.objects) if item.id == pair.after.object)
    return WorstCase(
        artifact=artifact.name,
        reference=reference.name,
        pair=pair,
        image=scene.image,
        query=query,
        truth=scene.masks[index],
        before=evaluator.predict(reference, query.prompt, scene),
        after=evaluator.predict(artifact, query.prompt, scene),
    )


def _find_query(plan: EvaluationPlan, scene: Scene, result: ObjectResult) -> Query:
    return next(
        query
        for protocol in plan.protocols
        for query in protocol.queries(scene)
        if query.kind == result.kind
        and query.target is not None
        and scene.record.objects[query.target].id == result.object
    )
