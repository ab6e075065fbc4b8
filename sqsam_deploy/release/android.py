"""For Gradle: an assets folder, and a library module that holds one."""

import re
from collections.abc import Sequence

from sqsam_deploy.artifact.manifest import ArtifactEntry
from sqsam_deploy.errors import UsageError
from sqsam_deploy.release.card import license_text
from sqsam_deploy.release.delivery import Delivery
from sqsam_deploy.release.document import LICENSE_NAME
from sqsam_deploy.release.rendering import render
from sqsam_deploy.runtimes.registry import all_runtimes

#: As `android_harness/gradle/libs.versions.toml` has them.
COMPILE_SDK, MIN_SDK = 36, 28


class AndroidAssets:
    """A Gradle module's assets folder.

        sqsam/<model>/<artifact>        what `AssetManager.open("sqsam/<model>/<artifact>")` reads
        sqsam/<model>/<artifact>.json   its inputs, outputs and prompt rules
        sqsam/<model>/release.json …    where it came from

    The folder is a whole that a pull replaces; add it to the module beside the app's own assets:

        android {
            sourceSets["main"].assets.srcDir("sqsam-assets")
            androidResources { noCompress += listOf("pte", "onnx", "tflite") }
        }

    Without `noCompress` the models cannot be memory-mapped out of the APK.
    """

    name = "android-assets"

    def write(self, delivery: Delivery) -> None:
        """See `Format.write`.

        Raises:
            UsageError: None of them runs on Android.
        """
        folder = f"sqsam/{delivery.opened.release.name}"
        for artifact in delivery.require_for("Android", "on Android"):
            delivery.place(artifact, folder)
            description = artifact.metadata.model_dump_json(indent=2) + "\n"
            delivery.write(f"{folder}/{artifact.path}.json", description.encode())
        delivery.place_documents(folder)


class AndroidModule:
    """A library module for an app that uses the Kotlin library of `android_harness/`.

    build.gradle.kts                    depends on the library's module for the runtime
    src/main/assets/sqsam/<model>/…     the models, their manifest and their licenses
    README.md                           what the app adds to its own build
    """

    name = "android-module"

    def write(self, delivery: Delivery) -> None:
        """See `Format.write`.

        Raises:
            UsageError: None of the artifacts, or those of several runtimes, are for Android.
        """
        usable = delivery.require_for("Android", "on Android")
        module = _library_module(usable)
        release = delivery.opened.release
        folder = f"src/main/assets/sqsam/{release.name}"
        for artifact in usable:
            delivery.place(artifact, folder)
        delivery.place_documents(folder)
        if LICENSE_NAME not in release.documents:
            licenses = license_text(delivery.opened.manifest)
            delivery.write(f"{folder}/{LICENSE_NAME}", licenses.encode())
        identifier = re.sub(r"[^a-z0-9]+", "_", release.name.lower())
        endings = sorted({artifact.path.rpartition(".")[2] for artifact in usable})
        variables = {
            "release": f"{release.name} {release.version}",
            "namespace": f"io.github.sqsamdeploy.models_{identifier}",
            "module": module,
            "compile_sdk": COMPILE_SDK,
            "min_sdk": MIN_SDK,
            "endings": ", ".join(f'"{ending}"' for ending in endings),
        }
        for path, template in _FILES.items():
            delivery.write(path, render(template, variables).encode())


def _library_module(artifacts: Sequence[ArtifactEntry]) -> str:
    """The module of the Kotlin library that runs them; it has the runtime's name."""
    runtimes = sorted({artifact.metadata.runtime for artifact in artifacts})
    offered = [each.name for each in all_runtimes() if "Android" in each.phone_compute]
    if len(runtimes) > 1:
        raise UsageError(
            "a module has the models of one runtime, whose native library comes with it: choose "
            f"--runtime {' or '.join(runtimes)}"
        )
    if runtimes[0] not in offered:
        raise UsageError(
            f"the Kotlin library does not run {runtimes[0]}: choose --runtime "
            f"{' or '.join(offered)}, or --format android-assets"
        )
    return runtimes[0]


#: Files of the module by the template that makes them.
_FILES = {
    "build.gradle.kts": "build.gradle.kts.j2",
    "src/main/AndroidManifest.xml": "AndroidManifest.xml.j2",
    "README.md": "android.md.j2",
}
