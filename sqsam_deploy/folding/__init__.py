"""Folding: norms and pixel scaling into convolutions, exactly."""

from sqsam_deploy.folding.fold import FoldedModel, example_inputs, fold
from sqsam_deploy.folding.steps import FoldStep

__all__ = ["FoldStep", "FoldedModel", "example_inputs", "fold"]
