"""Writing a network as this project's own safetensors file."""

from collections.abc import Mapping
from pathlib import Path

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy.model.network import SqueezeSAM
from sqsam_deploy.version import __version__


def save_checkpoint(model: SqueezeSAM, path: Path, metadata: Mapping[str, str]) -> None:
    """Writes the state dict, whole or not at all.

    Args:
        model: The network; its dtype is kept.
        path: The `.safetensors` file to write.
        metadata: What the file shall say of itself; `license` is shown by every command. The
            preset and the package version are added.
    """
    from safetensors.torch import save

    described = {"preset": model.config.name, "sqsam_deploy": __version__, **metadata}
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    atomic_write(path, save(tensors, metadata=described))
