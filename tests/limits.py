"""Other limits of agreement than the ones for trained weights."""

import dataclasses

import pytest

from sqsam_deploy.networks.precisions import PRECISIONS


def set_limits(patch: pytest.MonkeyPatch, limits: dict[str, float]) -> None:
    """Sets the limit of each precision named, until the patch is undone."""
    for name, limit in limits.items():
        patch.setitem(PRECISIONS, name, dataclasses.replace(PRECISIONS[name], limit=limit))
