"""Documents that others write: JSON read strictly, refused in one sentence."""

import json
import math
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from sqsam_deploy.errors import ArtifactError, SqsamError

Document = TypeVar("Document", bound=BaseModel)


class Frozen(BaseModel):
    """Base of the documents: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def parse_json(content: bytes | str, source: str, error: type[SqsamError] = ArtifactError) -> Any:
    """The value in a JSON text (RFC 8259).

    Args:
        content: The text, in UTF-8 where it is bytes.
        source: What errors call it.
        error: What is raised.

    Raises:
        SqsamError: Of the type `error`: the text is no JSON, names a key twice, nests too deeply
            for this Python, or holds a number that is not finite or has thousands of digits.
    """
    try:
        return json.loads(
            content,
            parse_constant=_refuse_number,
            parse_float=_finite,
            object_pairs_hook=_unique_keys,
        )
    except RecursionError:
        raise error(f"{source} is damaged: its JSON nests too deeply") from None
    except _UnusableError as problem:
        raise error(f"{source} is damaged: {problem}") from None
    except ValueError:
        raise error(f"{source} is damaged: it is not JSON") from None


class _UnusableError(Exception):
    """JSON that parsers read in different ways."""


def _refuse_number(text: str) -> NoReturn:
    raise _UnusableError(f"the number {text[:40]} is not finite")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse_number(text)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, value in pairs:
        if key in document:
            raise _UnusableError(f"the key '{key[:80]}' is there twice")
        document[key] = value
    return document


def first_problem(error: ValidationError) -> str:
    """Key and reason of the first thing that pydantic found wrong: `artifacts.0.path: ...`."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part)[:80] for part in first["loc"]) or "document"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"


def load_versioned(content: bytes, source: str, key: str, newest: int) -> dict[str, Any]:
    """A JSON object whose `key` holds a format version this package knows.

    Raises:
        ArtifactError: It is no JSON object, has no version, or a newer one.
    """
    document = parse_json(content, source)
    version = document.get(key) if isinstance(document, dict) else None
    if type(version) is not int or version < 1:
        raise ArtifactError(f"{source} is damaged: it has no {key}")
    if version > newest:
        raise ArtifactError(
            f"{source} has {key} {version} and this sqsam-deploy reads up to {newest}: "
            "install a newer sqsam-deploy"
        )
    return dict(document)


def validate_document(
    model: type[Document], document: Any, source: str, error: type[SqsamError] = ArtifactError
) -> Document:
    """A parsed document as its pydantic model.

    Raises:
        SqsamError: Of the type `error`: a key is missing, unknown or wrong; the message names it.
    """
    try:
        return model.model_validate_json(json.dumps(document))
    except ValidationError as problem:
        raise error(f"{source} is damaged at {first_problem(problem)}") from None
    except RecursionError:
        raise error(f"{source} is damaged: its JSON nests too deeply") from None
