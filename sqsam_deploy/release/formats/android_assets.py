"""A Gradle module's assets folder.

    sqsam/<model>/<artifact>        what `AssetManager.open("sqsam/<model>/<artifact>")` reads
    sqsam/<model>/<artifact>.json   its inputs, outputs and prompt rules
    sqsam/<model>/release.json …    where it came from

The folder is a whole that a pull replaces; add it to the module beside the app's own assets:

    android {
        sourceSets["main"].assets.srcDir("sqsam-assets")
        androidResources { noCompress += listOf("pte", "onnx") }
    }

Without `noCompress` the models cannot be memory-mapped out of the APK.
"""

from sqsam_deploy.errors import UsageError
from sqsam_deploy.release.formats.delivery import Delivery

_RUNTIMES = ("executorch", "onnx")


class AndroidAssets:
    """Assets of an Android module."""

    name = "android-assets"

    def write(self, delivery: Delivery) -> None:
        """See `Format.write`.

        Raises:
            UsageError: None of them runs on Android.
        """
        usable = [a for a in delivery.artifacts if a.metadata.runtime in _RUNTIMES]
        if not usable:
            raise UsageError(
                f"none of the selected artifacts runs on Android: choose --runtime "
                f"{' or '.join(_RUNTIMES)}"
            )
        folder = f"sqsam/{delivery.opened.release.name}"
        for artifact in usable:
            path = delivery.place(artifact, folder)
            description = artifact.metadata.model_dump_json(indent=2) + "\n"
            path.with_name(f"{path.name}.json").write_text(description, encoding="utf-8")
        delivery.place_documents(folder)
