"""`sqsam-pull`: verified models out of a store, by name and version."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sqsam_deploy._internal.terminal import note, say, stderr, stdout
from sqsam_deploy.cli._app import make_app, run
from sqsam_deploy.cli._output import answer
from sqsam_deploy.errors import UsageError
from sqsam_deploy.release.request import PullRequest

if TYPE_CHECKING:
    from rich.table import Table

    from sqsam_deploy.artifact.manifest import ArtifactEntry
    from sqsam_deploy.release.catalog import IndexedModel
    from sqsam_deploy.release.diff import ReleaseDiff
    from sqsam_deploy.release.document import Latency, ReleasedArtifact
    from sqsam_deploy.release.lock import LockedModel
    from sqsam_deploy.release.pull import Pulled, Watch
    from sqsam_deploy.release.source import Source


_Name = Annotated[str | None, Parameter(metavar="NAME")]
_Store = Annotated[str | None, Parameter(metavar="STORE")]

app = make_app("sqsam-pull", "NAME[@VERSION|@TAG] [OPTIONS] | COMMAND")


@app.default
def pull(
    request: Annotated[PullRequest, Parameter(name="*")] = PullRequest(),  # noqa: B008
    *,
    store: _Store = None,
    locked: bool = False,
    lock: Annotated[Path, Parameter(metavar="FILE")] = Path("sqsam.lock"),
    offline: bool = False,
) -> None:
    """Pull a model from a store, verify it, and put it in place whole.

    A bare NAME means NAME@latest. What was pulled is pinned in sqsam.lock: commit that file, and
    `sqsam-pull --locked` brings the same bytes on every machine.

    Exit codes: 0 in place, 2 wrong usage, 3 something could not be fetched or was refused.

    Args:
        store: Folder or URL of the store. Without it, $SQSAM_STORE.
        locked: Bring exactly what the lock file pins.
        lock: Lock file.
        offline: Use only what earlier pulls left in the cache.
    """
    if locked:
        _pull_locked(request, store, lock, offline=offline)
    else:
        _pull(request, store, lock, offline=offline)


@app.command(name="list", usage="Usage: sqsam-pull list [NAME] [OPTIONS]")
def list_models(name: _Name = None, /, *, store: _Store = None) -> None:
    """Show the models of a store, or the versions and tags of one.

    Args:
        name: Model to show. Without it, all models.
        store: Folder or URL of the store. Without it, $SQSAM_STORE.
    """
    from sqsam_deploy.release.catalog import read_index
    from sqsam_deploy.release.store import open_store

    target = open_store(_store_url(store))
    index = read_index(target)
    if name is not None and name not in index.models:
        raise UsageError(f"{target.url} has no model {name}: it has {', '.join(index.models)}")
    shown = {key: model for key, model in index.models.items() if name in (None, key)}
    answer({"store": target.url, "models": shown})
    if not shown:
        note(f"note: {target.url} holds no models")
        return
    _show_models(shown)
    if name is not None:
        _show_files(shown[name])


#: Columns of a terminal under which those of a table move together.
_NARROW = 80


def _show_models(models: "Mapping[str, IndexedModel]") -> None:
    from rich.table import Table

    columns = ("model", "version", "tags", "published", "MB", "parity", "signed")
    console = stdout()
    table = Table(box=None, pad_edge=False, collapse_padding=console.width < _NARROW)
    for column in columns:
        # What a pull is asked for stays whole where a terminal is narrow.
        table.add_column(column, no_wrap=column != "tags", overflow="fold")
    for name, model in models.items():
        for version, entry in reversed(model.versions.items()):
            tags = [tag for tag, named in model.tags.items() if named == version]
            table.add_row(
                name,
                version,
                " ".join(tags),
                entry.published.partition("T")[0],
                f"{entry.bytes / 1e6:.2f}",
                entry.status,
                "yes" if entry.signed else "no",
            )
    console.print(table)


def _show_files(model: "IndexedModel") -> None:
    for version, entry in reversed(model.versions.items()):
        say(f"{version}:")
        for artifact in entry.artifacts:
            say(f"  {artifact}")


@app.command(name="diff", usage="Usage: sqsam-pull diff A B [OPTIONS]")
def diff(
    before: Annotated[str, Parameter(metavar="A")],
    after: Annotated[str, Parameter(metavar="B")],
    /,
    *,
    store: _Store = None,
    offline: bool = False,
) -> None:
    """Show what changed from one release to another: files, sizes, drift and latency.

    Args:
        before: Earlier release: NAME@VERSION or NAME@TAG.
        after: Later release: the same, or only @VERSION.
        store: Folder or URL of the store. Without it, $SQSAM_STORE.
        offline: Use only what earlier pulls left in the cache.
    """
    from sqsam_deploy.release.diff import compare
    from sqsam_deploy.release.version import parse_reference

    source = _source(_store_url(store), offline=offline)
    first = parse_reference(before)
    second = parse_reference(first.name + after if after.startswith("@") else after)
    releases = [source.open(r.name, source.resolve(r)).release for r in (first, second)]
    changes = compare(*releases)
    answer({"before": changes.before, "after": changes.after, "changes": changes.artifacts})
    _show_diff(changes)


def _pull(request: PullRequest, store: str | None, lock: Path, *, offline: bool) -> None:
    from sqsam_deploy.release.lock import LockedModel, locked_output, newest_pinned, update_lock
    from sqsam_deploy.release.pull import pull as run_pull
    from sqsam_deploy.release.version import parse_reference

    name = parse_reference(request.wanted).name
    source = _source(_store_url(store), offline=offline)
    with _shown_bytes() as watch:
        pulled = run_pull(source, request, watch, newest_pinned(lock, source.store.url, name))
    release = pulled.release
    answer({"releases": [_placed(pulled, request.directory)]})
    _show(pulled, request.directory)
    output = locked_output(lock, request.directory)
    if output is None:
        _note(f"{request.directory} is not pinned: it does not lie below the folder of {lock}")
        return
    update_lock(
        lock,
        LockedModel(
            output=output,
            store=source.store.url,
            name=release.name,
            version=release.version,
            release_sha256=pulled.opened.sha256,
            runtime=request.runtimes,
            precision=request.precisions,
            format=request.format,
            signed_by=pulled.opened.signed_by,
            files=pulled.files,
        ),
    )


def _pull_locked(request: PullRequest, store: str | None, lock: Path, *, offline: bool) -> None:
    from sqsam_deploy.release.lock import output_of, read_lock
    from sqsam_deploy.release.pull import pull_locked

    if request.runtimes or request.precisions or request.output or request.format != "plain":
        raise UsageError("--locked takes runtime, precision, format and output from the lock")
    placed_releases = []
    for model in _chosen(read_lock(lock).models, request.reference, lock):
        source = _source(store or model.store, offline=offline)
        placed = replace(request, output=output_of(lock, model))
        with _shown_bytes() as watch:
            pulled = pull_locked(source, model, placed, watch)
        placed_releases.append(_placed(pulled, placed.directory))
        _show(pulled, placed.directory)
    answer({"releases": placed_releases})


def _placed(pulled: "Pulled", directory: Path) -> dict[str, object]:
    release = pulled.release
    return {
        "name": release.name,
        "version": release.version,
        "directory": directory,
        "verification": release.verification,
        "signed_by": pulled.opened.signed_by,
        "artifacts": [artifact.path for artifact in pulled.artifacts],
        "files": pulled.files,
    }


def _chosen(
    models: "tuple[LockedModel, ...]", reference: str | None, lock: Path
) -> "list[LockedModel]":
    chosen = [model for model in models if reference in (None, model.name)]
    if not chosen:
        there = ", ".join(sorted({model.name for model in models})) or "nothing"
        raise UsageError(f"{lock} does not pin {reference}: it pins {there}")
    return chosen


def _store_url(store: str | None) -> str:
    from sqsam_deploy.release.store import STORE_VARIABLE

    url = store or os.environ.get(STORE_VARIABLE)
    if not url:
        raise UsageError(f"say where to pull from: --store URL, or the variable {STORE_VARIABLE}")
    return url


def _source(url: str, *, offline: bool) -> "Source":
    from sqsam_deploy._internal.cache import default_cache
    from sqsam_deploy.release.cache import Cache
    from sqsam_deploy.release.source import OfflineStore, Source
    from sqsam_deploy.release.store import open_store

    store = open_store(url)
    used = OfflineStore(store.url) if offline else store
    return Source(used, Cache(default_cache()), _note)


def _note(message: str) -> None:
    note(f"note: {message}")


@contextmanager
def _shown_bytes() -> "Iterator[Watch]":
    """A bar on a terminal; a log hears nothing until it is done."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    from sqsam_deploy._internal.progress import DescriptionColumn

    columns = (DescriptionColumn(), BarColumn(), DownloadColumn())
    console = stderr()
    with Progress(
        *columns,
        TransferSpeedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:

        def watch(what: str, total: int) -> Callable[[int], None]:
            task = progress.add_task(what, total=total)
            return lambda count: progress.update(task, advance=count)

        yield watch


def _show(pulled: "Pulled", output: Path) -> None:
    release = pulled.release
    table = _table("artifact", "runtime", "precision", "MB", "needs at least")
    for entry in pulled.artifacts:
        table.add_row(
            entry.path,
            entry.metadata.runtime,
            entry.metadata.precision,
            f"{entry.bytes / 1e6:.2f}",
            entry.minimum_runtime,
        )
    stdout().print(table)
    for line in _dependencies(pulled.artifacts):
        say(line)
    say(f"{release.name} {release.version} is in {output}")
    if release.verification.status == "unverified":
        _note(f"published unverified: {release.verification.reason}")
    if pulled.opened.signed_by is None:
        signed = "signed" if pulled.opened.signature is not None else "not signed"
        _note(f"hashes verified; the release is {signed}, and no --verify-key or --identity given")


def _dependencies(artifacts: "Sequence[ArtifactEntry]") -> list[str]:
    """The lines that an app's build adds to link these artifacts, each once."""
    from sqsam_deploy.runtimes.registry import requirements_of, runtime_names

    known = [entry for entry in artifacts if entry.metadata.runtime in runtime_names()]
    lines = []
    for needed in map(requirements_of, known):
        flags = f", linked with {' '.join(needed.linker_flags)}" if needed.linker_flags else ""
        lines += [
            f"Swift: {package.url}, {package.branch or package.version}: "
            f"{', '.join(package.products)}{flags}"
            for package in needed.swift
        ]
        lines += [f'Gradle: implementation("{coordinates}")' for coordinates in needed.maven]
    return list(dict.fromkeys(lines))


def _show_diff(changes: "ReleaseDiff") -> None:
    before, after = changes.before, changes.after
    console = stdout()
    console.print(f"{before.name} {before.version} → {after.name} {after.version}")
    table = _table("artifact", "change", "MB", "drift, mIoU points", "needs at least")
    for change in changes.artifacts:
        sides = (change.before, change.after)
        table.add_row(
            change.path,
            change.change,
            _arrow(*(f"{side.bytes / 1e6:.2f}" if side else None for side in sides)),
            _arrow(*(_drift(side) for side in sides)),
            _arrow(*(side.minimum_runtime if side else None for side in sides)),
        )
    console.print(table)
    times = _table("artifact", "device", "run as", "milliseconds")
    for change in changes.artifacts:
        for row in change.latencies:
            shown = _arrow(_milliseconds(row.before), _milliseconds(row.after))
            times.add_row(change.path, row.device, row.setup, shown)
    if times.row_count:
        console.print(times)
    for file in changes.files:
        if file.change != "same":
            console.print(f"{file.change}: {file.path}")
    _show_verification(changes)


def _show_verification(changes: "ReleaseDiff") -> None:
    shown = _arrow(changes.before.verification.status, changes.after.verification.status)
    say(f"parity: {shown}")


def _drift(artifact: "ReleasedArtifact | None") -> str | None:
    if artifact is None or artifact.drift is None:
        return None
    drift = artifact.drift
    return f"{drift.mean:+.2f} [{drift.low:+.2f}, {drift.high:+.2f}]"


def _milliseconds(latency: "Latency | None") -> str | None:
    return f"{latency.median:.1f}" if latency else None


def _arrow(before: str | None, after: str | None) -> str:
    return (before or "—") if before == after else f"{before or '—'} → {after or '—'}"


def _table(*columns: str) -> "Table":
    """A table whose last column gives way where a terminal is narrow."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in columns[:-1]:
        table.add_column(column, no_wrap=True)
    table.add_column(columns[-1], overflow="fold")
    return table


def main() -> None:
    """Entry point of `sqsam-pull`."""
    run(app)
