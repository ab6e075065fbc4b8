"""The graph that ExecuTorch hands to XNNPACK, and what is improved in it before it is written."""

from sqsam_deploy.runtimes.executorch.xnnpack.hook import rewritten_delegates
from sqsam_deploy.runtimes.executorch.xnnpack.movement import join_moves

__all__ = ["join_moves", "rewritten_delegates"]
