"""Rules of Core ML for the one delegate in a `.pte`."""

from dataclasses import replace
from typing import Any

from sqsam_deploy.runtimes.coreml.device import package_checks
from sqsam_deploy.runtimes.device import DeviceRule, OnDevice
from sqsam_deploy.runtimes.executorch.device import file_on_device
from sqsam_deploy.runtimes.executorch.pte import PteFile
from sqsam_deploy.runtimes.executorch_coreml.blob import unpacked

COMPUTE_UNITS = DeviceRule(
    "compute-units",
    "The compute units in the file leave the GPU out.",
    "iOS ends an app that uses the GPU in the background, and the choice in the file cannot be "
    "changed by the app.",
    "executorch/backends/apple/coreml/compiler/coreml_preprocess.py (compute_units); "
    "https://developer.apple.com/documentation/metal/"
    "preparing-your-metal-app-to-run-in-the-background",
)


def delegate_on_device(file: PteFile) -> OnDevice:
    """The libraries, the rules of ExecuTorch's apps, of the delegate's choice and of its program.

    Raises:
        ArtifactError: The file is damaged.
    """
    outer = file_on_device(file)
    ((_, blob),) = file.blobs()
    with unpacked(blob) as model:
        inner = package_checks(model.package)
    units = compute_units(file.plan.delegates[0])
    choice = COMPUTE_UNITS.check([units] if units in ("all", "cpu_and_gpu") else ())
    return replace(outer, checks=(*outer.checks, choice, *inner))


def compute_units(delegate: Any) -> str:
    """The units that a delegate asks for, as ExecuTorch writes them: "cpu_and_ne"."""
    specs = {spec.key: spec.value for spec in delegate.compile_specs}
    return bytes(specs.get("compute_units", b"all")).decode()
