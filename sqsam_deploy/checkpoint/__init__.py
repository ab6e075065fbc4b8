"""Weights: reading them safely, finding their preset, writing this project's own files."""

from sqsam_deploy.checkpoint.bundled import bundled_checkpoint
from sqsam_deploy.checkpoint.loading import Checkpoint, load_checkpoint
from sqsam_deploy.checkpoint.saving import save_checkpoint

__all__ = ["Checkpoint", "bundled_checkpoint", "load_checkpoint", "save_checkpoint"]
