"""Where results are kept from one run to the next."""

import os
from pathlib import Path

#: Environment variable that moves the cache.
CACHE_VARIABLE = "SQSAM_CACHE"


def default_cache() -> Path:
    """`$SQSAM_CACHE`, or this user's cache directory for this program."""
    from platformdirs import user_cache_path

    override = os.environ.get(CACHE_VARIABLE)
    return Path(override) if override else user_cache_path("sqsam", appauthor=False)
