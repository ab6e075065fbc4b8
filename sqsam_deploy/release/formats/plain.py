"""The artifacts side by side, with the documents they came with."""

from sqsam_deploy.release.formats.delivery import Delivery


class Plain:
    """A directory as `sqsam-export` writes it, of the selected artifacts."""

    name = "plain"

    def write(self, delivery: Delivery) -> None:
        """See `Format.write`."""
        for artifact in delivery.artifacts:
            delivery.place(artifact)
        delivery.place_documents()
