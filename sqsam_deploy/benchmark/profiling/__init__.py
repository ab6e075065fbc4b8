"""Where an inference spends its time, by operator and by delegate."""

from sqsam_deploy.benchmark.profiling.profile import take_profile

__all__ = ["take_profile"]
