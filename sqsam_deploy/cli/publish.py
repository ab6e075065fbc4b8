"""`sqsam-publish`: an export directory becomes an immutable version in a store."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sqsam_deploy.cli._app import run_app
from sqsam_deploy.cli._default_command import DefaultCommandGroup
from sqsam_deploy.errors import UsageError

if TYPE_CHECKING:
    from sqsam_deploy.release.publish import Published
    from sqsam_deploy.release.signature import Signer
    from sqsam_deploy.release.store import Store

_PASSWORD_VARIABLE = "SQSAM_KEY_PASSWORD"

StoreArgument = Annotated[
    str,
    typer.Argument(
        metavar="STORE",
        envvar="SQSAM_STORE",
        help="Folder, or URL of any fsspec kind: s3://bucket/models, gs://…, az://…, hf://….",
    ),
]


class _PublishGroup(DefaultCommandGroup):
    default_command = "publish"


app = typer.Typer(
    cls=_PublishGroup, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)


@app.command()
def publish(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="What sqsam-export wrote.")],
    store: StoreArgument,
    version: Annotated[str, typer.Option(help="Semantic version of the release: 1.2.0.")],
    name: Annotated[str | None, typer.Option(help="Model name; without it the manifest's.")] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(help="Tag to move to this version (stable, …); may be repeated."),
    ] = None,
    parity: Annotated[
        Path | None, typer.Option(help="Result of sqsam-parity; without it DIR/parity.json.")
    ] = None,
    bench: Annotated[
        list[Path] | None,
        typer.Option(help="Result file of sqsam-bench for the latency table; may be repeated."),
    ] = None,
    sign_key: Annotated[
        Path | None,
        typer.Option(help=f"Private key (PEM) to sign with; password in ${_PASSWORD_VARIABLE}."),
    ] = None,
    keyless: Annotated[
        bool, typer.Option("--keyless", help="Sign with your or the CI job's identity (Sigstore).")
    ] = False,
    allow_unverified: Annotated[
        bool,
        typer.Option(
            "--allow-unverified",
            help="Publish without a passed parity result; the release says so.",
        ),
    ] = False,
) -> None:
    """Publish the artifacts of DIR as an immutable version in STORE.

    The directory must match its manifest and have passed sqsam-parity. Also:

      sqsam-publish tag STORE NAME@VERSION TAG   move a tag

      sqsam-publish rebuild-index STORE          derive the index from the versions again

    Exit codes: 0 published (or this very release was there), 1 the parity gate did not pass,
    2 wrong usage, 3 something could not be read, written or verified.
    """
    from sqsam_deploy._internal.progress import shown_steps
    from sqsam_deploy.release.assemble import PublishRequest
    from sqsam_deploy.release.publish import STEPS
    from sqsam_deploy.release.publish import publish as run_publish
    from sqsam_deploy.release.store import open_store
    from sqsam_deploy.release.version import parse_version

    request = PublishRequest(
        directory=directory,
        version=parse_version(version),
        name=name,
        parity=parity,
        benchmarks=tuple(bench or ()),
        tags=tuple(tag or ()),
        signer=_signer(sign_key, keyless=keyless),
        allow_unverified=allow_unverified,
    )
    target = open_store(store)
    with shown_steps(STEPS) as steps:
        published = run_publish(target, request, steps)
    _show(published, target, signed=request.signer is not None)


@app.command("tag")
def move_tag(
    store: StoreArgument,
    reference: Annotated[str, typer.Argument(metavar="NAME@VERSION")],
    tag: Annotated[str, typer.Argument(metavar="TAG", help="stable, for example.")],
) -> None:
    """Make TAG name a version that is already published."""
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
    typer.echo(f"{wanted.name}@{tag} is now {wanted.version}")


@app.command("rebuild-index")
def rebuild_index(store: StoreArgument) -> None:
    """Read every version of STORE again and write index.json and the latest tags anew."""
    from sqsam_deploy.errors import ReleaseError
    from sqsam_deploy.release.catalog import Indexer
    from sqsam_deploy.release.store import open_store

    indexer = Indexer(open_store(store))
    index = indexer.refresh()
    count = sum(len(model.versions) for model in index.models.values())
    typer.echo(f"index.json lists {count} versions of {len(index.models)} models")
    if indexer.damage:
        first = indexer.damage[0]
        raise ReleaseError(
            f"{len(indexer.damage)} versions were left out, the first {first.name} "
            f"{first.version}: {first.reason}"
        )


def _signer(key: Path | None, *, keyless: bool) -> "Signer | None":
    from sqsam_deploy.release.signature import KeylessSigner, KeySigner

    if key is not None and keyless:
        raise UsageError("--sign-key and --keyless exclude each other: choose one")
    if key is not None:
        return KeySigner(key, os.environ.get(_PASSWORD_VARIABLE))
    return KeylessSigner() if keyless else None


def _show(published: "Published", store: "Store", *, signed: bool) -> None:
    release = published.release
    what = f"{release.name} {release.version}"
    if published.already_there:
        typer.echo(f"{what} was already in {store.url}, with the same content")
    else:
        typer.echo(f"{what} is in {store.url}: {len(release.artifacts)} artifacts")
    if release.verification.status == "unverified":
        typer.echo(f"warning: unverified, {release.verification.reason}", err=True)
    if not signed and not published.already_there:
        typer.echo("note: not signed; --sign-key or --keyless signs it", err=True)


def main() -> None:
    """Entry point of `sqsam-publish`."""
    run_app(app)
