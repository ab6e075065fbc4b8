"""Needs of a `.pte` in an app and on a phone: the backends and kernels that it calls."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sqsam_deploy.artifact.requirements import Requirements, SwiftDependency
from sqsam_deploy.runtimes.device import DeviceRule, OnDevice
from sqsam_deploy.runtimes.executorch.pte import PteFile

#: The releases of ExecuTorch's packages that apps are told to take: `ios_harness/ExecuTorch` and
#: `android_harness/gradle/libs.versions.toml` pin the same.
SWIFT_RELEASE, ANDROID_RELEASE = "1.5.0", "1.5.1"
#: Lowest systems of the Swift package and of the Android archive (ExecuTorch's documentation,
#: "Using ExecuTorch on iOS"; `extension/android/executorch_android/build.gradle`).
LOWEST_IOS, LOWEST_MACOS, LOWEST_ANDROID = "17.0", "14.0", 23
_ABIS = ("arm64-v8a", "x86_64")

XNNPACK = "XnnpackBackend"
CORE_ML = "CoreMLBackend"
#: Product of the Swift package with a backend, by the name that files call it.
_BACKENDS = {XNNPACK: "backend_xnnpack", CORE_ML: "backend_coreml"}
_KERNELS, _QUANTIZED_KERNELS = "kernels_optimized", "kernels_quantized"
#: Operators of this namespace have their kernels in a library of their own.
_QUANTIZED = "quantized_decomposed::"

KERNELS = DeviceRule(
    "kernels",
    "No operator is left outside the delegate.",
    "An app that does not link kernels_optimized ends with error 20 (OperatorMissing) when it "
    "loads the file.",
    "executorch/runtime/core/error.h; seen with a C++ program that links no kernels",
)
BACKENDS = DeviceRule(
    "backends",
    "Every backend that is called comes with ExecuTorch's own Swift package.",
    "No app can load the file: its backend is registered nowhere.",
    "https://docs.pytorch.org/executorch/stable/using-executorch-ios.html",
    breaks=True,
)


def requirements(delegates: tuple[str, ...], outside: Mapping[str, int] | None) -> Requirements:
    """The libraries and systems for a file.

    Args:
        delegates: Backends that it calls.
        outside: How often it calls which kernel; None where it was not looked into.
    """
    products = ["executorch", *(_BACKENDS[name] for name in delegates if name in _BACKENDS)]
    if outside is None or outside:
        products.append(_KERNELS)
    if any(name.startswith(_QUANTIZED) for name in outside or ()):
        products.append(_QUANTIZED_KERNELS)
    swift = SwiftDependency(
        url="https://github.com/pytorch/executorch.git",
        branch=f"swiftpm-{SWIFT_RELEASE}",
        products=tuple(products),
    )
    runs_on_android = CORE_ML not in delegates
    return Requirements(
        operators_outside=None if outside is None else dict(outside),
        delegates=delegates,
        swift=(swift,),
        # Backends and kernels register themselves when their objects are loaded.
        linker_flags=("-all_load",),
        ios=LOWEST_IOS,
        macos=LOWEST_MACOS,
        # The archive holds every kernel.
        maven=(f"org.pytorch:executorch-android:{ANDROID_RELEASE}",) if runs_on_android else (),
        android_api=LOWEST_ANDROID if runs_on_android else None,
        android_abis=_ABIS if runs_on_android else (),
    )


def called_backends(file: PteFile) -> tuple[str, ...]:
    """Names of the backends that the network's method calls, each once."""
    return tuple(dict.fromkeys(backend for backend, _ in file.blobs()))


def kernels_outside(file: PteFile) -> dict[str, int]:
    """How often the network's method calls which operator by itself, sorted by name."""
    calls = file.calls("KernelCall")
    found = Counter(_full_name(file.plan.operators[call.op_index]) for call in calls)
    return dict(sorted(found.items()))


def _full_name(operator: Any) -> str:
    """`dim_order_ops::_to_dim_order_copy.out`."""
    return f"{operator.name}.{operator.overload}" if operator.overload else str(operator.name)


def file_on_device(file: PteFile) -> OnDevice:
    """The libraries and systems for a file, and the rules of ExecuTorch's apps."""
    backends, outside = called_backends(file), kernels_outside(file)
    checks = (
        KERNELS.check(f"{name}, {count} times" for name, count in outside.items()),
        BACKENDS.check(name for name in backends if name not in _BACKENDS),
    )
    return OnDevice(requirements(backends, outside), checks)
