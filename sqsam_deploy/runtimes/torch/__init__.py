"""The network in torch: the float reference every artifact is compared with."""

from sqsam_deploy.runtimes.torch.session import TorchSession, open_session

__all__ = ["TorchSession", "open_session"]
