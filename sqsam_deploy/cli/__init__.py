"""The commands."""

import os

# tqdm reads it once, when it is first imported: coremltools' bars would tear this package's own.
os.environ.setdefault("TQDM_DISABLE", "1")
