"""JSON Schemas of the documents other tools read, shipped in the wheel."""

import json
from importlib.resources import files
from typing import Any

from pydantic import BaseModel


def schema_text(model: type[BaseModel]) -> str:
    """The JSON Schema of a document, as it is shipped."""
    return json.dumps(model.model_json_schema(), indent=2, sort_keys=True) + "\n"


def load_schema(name: str) -> dict[str, Any]:
    """A shipped schema, `manifest-1` for example."""
    text = (files(__package__) / f"{name}.json").read_text(encoding="utf-8")
    return dict(json.loads(text))
