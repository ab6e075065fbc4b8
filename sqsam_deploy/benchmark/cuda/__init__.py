"""A preset on a CUDA GPU: eager, compiled and graphed, in every precision and batch."""

from sqsam_deploy.benchmark.cuda.grid import Case, cases
from sqsam_deploy.benchmark.cuda.run import CudaPlan, measure_cuda

__all__ = ["Case", "CudaPlan", "cases", "measure_cuda"]
