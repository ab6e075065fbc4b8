"""Networks that say what is salient in a photo: the bundled one, artifacts of it, and others."""

from sqsam_deploy.saliency.model import SaliencyModel
from sqsam_deploy.saliency.opening import open_saliency

__all__ = ["SaliencyModel", "open_saliency"]
