"""Signatures of `release.json` by the OpenSSF model-signing library.

One small document is signed and it pins every file by its hash, so a pull verifies the signature
before it downloads a model, also where it downloads only some of the files. Anybody can check
the same with that library's own command: `model_signing verify … release.json`.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from sqsam_deploy._internal.packages import missing_package
from sqsam_deploy.errors import MissingDependencyError, ReleaseError, UsageError, first_line
from sqsam_deploy.release.request import PublishRequest, PullRequest

#: Issuer of the identities of GitHub Actions workflows.
GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
_PASSWORD_VARIABLE = "SQSAM_KEY_PASSWORD"


class Signer(Protocol):
    """Signs a file."""

    def check(self) -> None:
        """Raises where it could not sign, as far as that is known before it does."""

    def sign(self, document: Path, signature: Path) -> None:
        """Writes the signature of `document`."""


class Verifier(Protocol):
    """Judges a signature."""

    @property
    def described(self) -> str:
        """Who must have signed, for messages and the lock file."""

    def verify(self, document: Path, signature: Path) -> None:
        """Raises `ReleaseError` unless this very document was signed by the expected signer."""


@dataclass(frozen=True)
class KeySigner:
    """Signs with a private elliptic-curve key in PEM form, with its password if it has one."""

    key: Path
    password: str | None = None

    def check(self) -> None:
        """See `Signer.check`."""
        self._config()

    def sign(self, document: Path, signature: Path) -> None:
        """See `Signer.sign`."""
        self._config().set_hashing_config(_hashing()).sign(document, signature)

    def _config(self) -> Any:
        _require_file(self.key)
        signing = _library().signing
        try:
            return signing.Config().use_elliptic_key_signer(
                private_key=self.key, password=self.password
            )
        except (ValueError, TypeError) as error:
            raise UsageError(f"{self.key} is no usable private key: {_key_fault(error)}") from None


@dataclass(frozen=True)
class KeylessSigner:
    """Signs with an identity (Sigstore): the CI job's own, or a login in the browser.

    Needs the network: Sigstore's certificate authority and transparency log.
    """

    def check(self) -> None:
        """See `Signer.check`."""
        _library()

    def sign(self, document: Path, signature: Path) -> None:
        """See `Signer.sign`."""
        config = _library().signing.Config().set_hashing_config(_hashing())
        try:
            config.use_sigstore_signer(use_ambient_credentials=True).sign(document, signature)
        except Exception as error:
            raise ReleaseError(f"keyless signing failed: {first_line(error)}") from error


@dataclass(frozen=True)
class KeyVerifier:
    """Accepts signatures of one key, given by its public half in PEM form."""

    key: Path

    @property
    def described(self) -> str:
        """The key by the hash of its file."""
        _require_file(self.key)
        return f"key sha256:{hashlib.sha256(self.key.read_bytes()).hexdigest()}"

    def verify(self, document: Path, signature: Path) -> None:
        """See `Verifier.verify`."""
        _require_file(self.key)
        verifying = _library().verifying
        try:
            config = verifying.Config().use_elliptic_key_verifier(public_key=self.key)
        except (ValueError, TypeError) as error:
            raise UsageError(f"{self.key} is no usable public key: {_key_fault(error)}") from None
        _verify(config, document, signature, f"the key {self.key}")


@dataclass(frozen=True)
class IdentityVerifier:
    """Accepts keyless signatures of one identity, vouched for by one issuer."""

    identity: str
    issuer: str = GITHUB_ISSUER

    @property
    def described(self) -> str:
        """The identity and its issuer."""
        return f"identity {self.identity} ({self.issuer})"

    def verify(self, document: Path, signature: Path) -> None:
        """See `Verifier.verify`."""
        verifying = _library().verifying
        try:
            config = verifying.Config().use_sigstore_verifier(
                identity=self.identity, oidc_issuer=self.issuer
            )
        except Exception as error:
            raise ReleaseError(f"Sigstore's trust root is missing: {first_line(error)}") from error
        _verify(config, document, signature, self.described)


def requested_signer(request: PublishRequest) -> Signer | None:
    """Signs as a request asks; None leaves the release unsigned.

    Raises:
        UsageError: The key cannot be used.
        MissingDependencyError: The library that signs is not installed.
    """
    signer: Signer | None = KeylessSigner() if request.keyless else None
    if request.sign_key is not None:
        signer = KeySigner(request.sign_key, os.environ.get(_PASSWORD_VARIABLE))
    if signer is not None:
        signer.check()
    return signer


def requested_verifier(request: PullRequest) -> Verifier | None:
    """Accepts the signatures that a request asks for; None leaves them unchecked."""
    if request.verify_key is not None:
        return KeyVerifier(request.verify_key)
    if request.identity is None:
        return None
    return IdentityVerifier(request.identity, request.identity_issuer or GITHUB_ISSUER)


def _verify(config: Any, document: Path, signature: Path, signer: str) -> None:
    try:
        config.set_hashing_config(_hashing()).verify(document, signature)
    except Exception as error:  # the library and those below it raise many kinds
        raise ReleaseError(
            f"the signature of {document.name} was not made by {signer}, or not of this release: "
            f"{first_line(error)}"
        ) from error


def _hashing() -> Any:
    """SHA-256 of the whole file, whatever a signature says it was made with."""
    return _library().hashing.Config().use_file_serialization(hashing_algorithm="sha256")


def _library() -> ModuleType:
    try:
        import model_signing
    except ImportError as error:
        raise MissingDependencyError(missing_package(error.name or "model_signing")) from None
    return model_signing


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"{path} is no file: give a key in PEM form")


def _key_fault(error: Exception) -> str:
    """The library's words, where they are not a lecture with an address."""
    line = first_line(error)
    return "it is not in PEM form" if "PEM" in line else line
