"""The JavaScript module `squeezesam.js`, and the folders in which it goes to a browser."""

from sqsam_deploy.web.folder import RUNTIME_VERSION, place_module, place_runtime

__all__ = ["RUNTIME_VERSION", "place_module", "place_runtime"]
