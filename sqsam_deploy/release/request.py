"""The requests of a publication and a pull: the options of `sqsam-publish` and `sqsam-pull`."""

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sqsam_deploy._internal.requests import convert_paths
from sqsam_deploy.errors import UsageError

_Name = Annotated[str | None, Parameter(metavar="NAME")]
_File = Annotated[Path | None, Parameter(metavar="FILE")]


@dataclass(frozen=True)
class PublishRequest:
    """An export directory, and the release to make of it.

    Attributes:
        directory: Directory that sqsam-export wrote.
        version: Semantic version of the release, such as 1.2.0.
        name: Name of the model. Without it, the manifest's.
        tags: Tag to move to this version, such as stable. May be given several times.
        parity: Result of sqsam-parity. Without it, parity.json in the directory.
        benchmarks: Result file of sqsam-bench, for the table of latencies. May be given several
            times.
        sign_key: Private key (PEM) to sign with. Its password is read from $SQSAM_KEY_PASSWORD.
        keyless: Sign with your identity, or the CI job's (Sigstore).
        allow_unverified: Publish without a passed parity result. The release says so.
    """

    directory: Annotated[Path, Parameter(metavar="DIR")]
    _: KW_ONLY
    version: Annotated[str, Parameter(name="--release")]
    name: str | None = None
    tags: Annotated[tuple[str, ...], Parameter(name="--tag", metavar="TAG")] = ()
    parity: _File = None
    benchmarks: Annotated[tuple[Path, ...], Parameter(name="--bench", metavar="FILE")] = ()
    sign_key: _File = None
    keyless: bool = False
    allow_unverified: bool = False

    def __post_init__(self) -> None:
        """Takes paths as text too, and refuses two ways to sign."""
        convert_paths(self)
        if self.sign_key is not None and self.keyless:
            raise UsageError("--sign-key and --keyless exclude each other: choose one")

    @property
    def is_signed(self) -> bool:
        """Whether the release gets a signature."""
        return self.keyless or self.sign_key is not None


@dataclass(frozen=True)
class PullRequest:
    """A release, the part of it that is wanted, and the directory to put it in.

    Attributes:
        reference: Model, and version or tag. A bare name means its tag latest.
        output: Directory to create or to replace. Without it, a directory with the model's name.
        runtimes: Pull only the artifacts of a runtime, such as executorch, coreml or onnx. May be
            given several times.
        precisions: Pull only the artifacts of a precision: int8, fp16, palettized-4bit. May
            be given several times.
        format: Form of the directory: plain, zip, swift-package, android-assets,
            android-module or web.
        verify_key: Public key (PEM) that must have signed the release.
        identity: Identity that must have signed the release (keyless, Sigstore).
        identity_issuer: Issuer that vouches for --identity. Without it, GitHub Actions.
        allow_older: Take a latest that is older than what was pulled before.
        overwrite: Replace also files that were changed since they were pulled.
    """

    reference: Annotated[str | None, Parameter(metavar="NAME[@VERSION|@TAG]")] = None
    _: KW_ONLY
    output: Annotated[Path | None, Parameter(alias="-o", metavar="DIR")] = None
    runtimes: Annotated[tuple[str, ...], Parameter(name="--runtime", metavar="NAME")] = ()
    precisions: Annotated[tuple[str, ...], Parameter(name="--precision", metavar="NAME")] = ()
    format: Annotated[str, Parameter(metavar="NAME")] = "plain"
    verify_key: _File = None
    identity: str | None = None
    identity_issuer: Annotated[str | None, Parameter(metavar="URL")] = None
    allow_older: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Takes paths as text too, and refuses options that exclude each other."""
        convert_paths(self)
        if self.verify_key is not None and self.identity is not None:
            raise UsageError("--verify-key and --identity exclude each other: choose one")
        if self.identity_issuer is not None and self.identity is None:
            raise UsageError("--identity-issuer says who vouches for --identity, which is missing")

    @property
    def wanted(self) -> str:
        """The reference.

        Raises:
            UsageError: There is none.
        """
        if self.reference is None:
            raise UsageError("say what to pull: sqsam-pull NAME[@VERSION|@TAG], or --locked")
        return self.reference

    @property
    def directory(self) -> Path:
        """Where it goes.

        Raises:
            UsageError: There is neither an output nor a reference.
        """
        return self.output or Path(self.wanted.partition("@")[0])
