"""Runtimes: what lowers a program, and what runs the artifact that comes out.

`base` says what a runtime is, `registry` knows all of them, `session` is how each is run.
"""

from sqsam_deploy.runtimes.registry import CHECKPOINT_SUFFIXES, open_session, read_metadata

__all__ = ["CHECKPOINT_SUFFIXES", "open_session", "read_metadata"]
