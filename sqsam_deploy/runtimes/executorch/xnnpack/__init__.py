"""Rewrites of the graph that ExecuTorch hands to XNNPACK, before it is serialized."""

from sqsam_deploy.runtimes.executorch.xnnpack.movement import join_moves

__all__ = ["join_moves"]
