"""Pulling as most tests want it: into a cache of their own, and without a word."""

from pathlib import Path

from sqsam_deploy.release.cache import Cache
from sqsam_deploy.release.pull import Pulled, pull
from sqsam_deploy.release.request import PullRequest
from sqsam_deploy.release.source import Source
from sqsam_deploy.release.store import Store


def bring(store: Store, cache: Path, reference: str, output: Path, **options: object) -> Pulled:
    """What was pulled; `options` are those of `PullRequest`."""
    request = PullRequest(reference, output=output, **options)  # type: ignore[arg-type]
    source = Source(store, Cache(cache), lambda message: None)
    return pull(source, request, lambda what, total: lambda count: None)
