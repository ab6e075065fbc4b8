"""JSON documents that carry a format version: read strictly, refused in one sentence."""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from sqsam_deploy.errors import ArtifactError

Document = TypeVar("Document", bound=BaseModel)


class Frozen(BaseModel):
    """Base of the documents: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def load_versioned(content: bytes, source: str, key: str, newest: int) -> dict[str, Any]:
    """A JSON object whose `key` holds a format version this package knows.

    Raises:
        ArtifactError: It is no JSON object, has no version, or a newer one.
    """
    try:
        document = json.loads(content)
    except ValueError:
        raise ArtifactError(f"{source} is damaged: it is not JSON") from None
    version = document.get(key) if isinstance(document, dict) else None
    if type(version) is not int or version < 1:
        raise ArtifactError(f"{source} is damaged: it has no {key}")
    if version > newest:
        raise ArtifactError(
            f"{source} has {key} {version} and this sqsam-deploy reads up to {newest}: "
            "install a newer sqsam-deploy"
        )
    return dict(document)


def validate_document(model: type[Document], document: dict[str, Any], source: str) -> Document:
    """A parsed document as its pydantic model.

    Raises:
        ArtifactError: A key is missing, unknown or wrong; the message names it.
    """
    try:
        return model.model_validate_json(json.dumps(document))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "document"
        reason = first["msg"].removeprefix("Value error, ")
        raise ArtifactError(f"{source} is damaged at {where}: {reason}") from None
