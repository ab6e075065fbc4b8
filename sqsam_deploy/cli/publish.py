"""`sqsam-publish`: an export directory becomes an immutable version in a store."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sqsam_deploy._internal.terminal import note, say
from sqsam_deploy.cli._app import make_app, run
from sqsam_deploy.cli._output import answer
from sqsam_deploy.errors import UsageError
from sqsam_deploy.release.request import PublishRequest

if TYPE_CHECKING:
    from sqsam_deploy.release.document import Release
    from sqsam_deploy.release.publish import Published
    from sqsam_deploy.release.store import Store

StoreArgument = Annotated[str, Parameter(metavar="STORE", env_var="SQSAM_STORE")]

app = make_app("sqsam-publish", "DIR STORE --release VERSION [OPTIONS] | COMMAND")


@app.default
def publish(
    request: Annotated[PublishRequest, Parameter(name="*")],
    store: StoreArgument,
    *,
    dry_run: bool = False,
) -> None:
    """Publish the artifacts of a directory as an immutable version in a store.

    The directory must match its manifest and have passed sqsam-parity.

    Exit codes: 0 published (or this very release was there), 1 the parity gate did not pass,
    2 wrong usage, 3 something could not be read, written or verified.

    Args:
        store: Folder, or URL of any kind that fsspec knows: s3://bucket/models, gs://…, az://…,
            hf://….
        dry_run: Check everything and show what would be published; write nothing.
    """
    from sqsam_deploy._internal.progress import shown_steps
    from sqsam_deploy.release.publish import STEPS, rehearse
    from sqsam_deploy.release.publish import publish as run_publish
    from sqsam_deploy.release.store import open_store

    target = open_store(store)
    job = rehearse if dry_run else run_publish
    with shown_steps(2 if dry_run else STEPS) as steps:
        published = job(target, request, steps)
    answer(
        {
            "store": target.url,
            "published": not (dry_run or published.already_there),
            "already_there": published.already_there,
            "signed": request.is_signed,
            "release": published.release,
        }
    )
    if dry_run and not published.already_there:
        _show_rehearsed(published.release, target)
    else:
        _show(published, target, signed=request.is_signed)


def _show_rehearsed(release: "Release", store: "Store") -> None:
    for artifact in release.artifacts:
        say(f"{artifact.path}  {artifact.bytes / 1e6:.2f} MB")
    total = sum(entry.bytes for entry in release.files)
    say(
        f"{release.name} {release.version} would be published in {store.url}: "
        f"{len(release.files)} files, {total / 1e6:.2f} MB. Nothing was."
    )


@app.command(name="tag", usage="Usage: sqsam-publish tag STORE NAME@VERSION TAG")
def move_tag(
    store: StoreArgument,
    reference: Annotated[str, Parameter(metavar="NAME@VERSION")],
    tag: Annotated[str, Parameter(metavar="TAG")],
    /,
) -> None:
    """Make a tag name a version that is already published.

    Args:
        store: Folder or URL of the store.
        reference: Model and version.
        tag: Tag to move, such as stable.
    """
    from sqsam_deploy.release.catalog import move_tag as move
    from sqsam_deploy.release.publish import refresh_index
    from sqsam_deploy.release.store import open_store
    from sqsam_deploy.release.version import parse_reference

    wanted = parse_reference(reference)
    if wanted.version is None:
        raise UsageError(f"{reference} names no version: write it like squeezesam-nano@1.2.0")
    target = open_store(store)
    move(target, wanted.name, tag, wanted.version)
    refresh_index(target)
    answer({"name": wanted.name, "tag": tag, "version": wanted.version})
    say(f"{wanted.name}@{tag} is now {wanted.version}")


@app.command(name="rebuild-index", usage="Usage: sqsam-publish rebuild-index STORE")
def rebuild_index(store: StoreArgument, /) -> None:
    """Read every version of a store again, and write index.json and the latest tags anew.

    Args:
        store: Folder or URL of the store.
    """
    from sqsam_deploy.errors import ReleaseError
    from sqsam_deploy.release.catalog import Indexer
    from sqsam_deploy.release.store import open_store

    indexer = Indexer(open_store(store))
    index = indexer.refresh()
    count = sum(len(model.versions) for model in index.models.values())
    answer({"models": index.models, "left_out": indexer.damage})
    say(f"index.json lists {count} versions of {len(index.models)} models")
    if indexer.damage:
        first = indexer.damage[0]
        raise ReleaseError(
            f"{len(indexer.damage)} versions were left out, the first {first.name} "
            f"{first.version}: {first.reason}"
        )


def _show(published: "Published", store: "Store", *, signed: bool) -> None:
    release = published.release
    what = f"{release.name} {release.version}"
    if published.already_there:
        say(f"{what} was already in {store.url}, with the same content")
    else:
        names = ", ".join(artifact.path for artifact in release.artifacts)
        say(f"{what} is in {store.url}: {names}")
    if release.verification.status == "unverified":
        note(f"warning: unverified, {release.verification.reason}")
    if not signed and not published.already_there:
        note("note: not signed; --sign-key or --keyless signs it")


def main() -> None:
    """Entry point of `sqsam-publish`."""
    run(app)
