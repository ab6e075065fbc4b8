"""Opening the artifacts of a plan."""

from sqsam_deploy.errors import UsageError
from sqsam_deploy.evaluation.plan import Artifact, EvaluationPlan
from sqsam_deploy.runtimes.registry import is_checkpoint, open_session
from sqsam_deploy.runtimes.session import Session


def open_artifact(artifact: Artifact, plan: EvaluationPlan) -> Session:
    """A session with the plan's threads; checkpoints run on the plan's device.

    Raises:
        UsageError: torch does not have that device.
        SqsamError: The artifact cannot be opened.
    """
    if not is_checkpoint(artifact.path) or plan.device == "cpu":
        return open_session(artifact.path, plan.threads)
    from sqsam_deploy.checkpoint import load_checkpoint
    from sqsam_deploy.runtimes.torch import TorchSession

    checkpoint = load_checkpoint(artifact.path)
    try:
        return TorchSession(checkpoint, plan.device)
    except (RuntimeError, AssertionError) as error:
        # torch built without CUDA raises AssertionError, an unknown name RuntimeError.
        reason = str(error).splitlines()[0]
        raise UsageError(f"--device {plan.device} cannot be used: {reason}") from None
