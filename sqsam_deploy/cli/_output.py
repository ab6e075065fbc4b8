"""`--json` and `--quiet`, which every command takes: docs/output.md."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqsam_deploy._internal.terminal import Shown

SCHEMA = "sqsam-output/1"
JSON, QUIET = "--json", ("--quiet", "-q")
#: What they are, for --help.
HELP = {
    JSON: "Write one JSON document to standard output instead of text.",
    QUIET[0]: "Show errors alone: no text, notes or progress.",
}

_result: dict[str, Any] = {}


def answer(result: Mapping[str, object]) -> None:
    """States what a command did or found, for the document of `--json`; a later one counts."""
    _result.clear()
    _result.update(result)


def without_output_flags(words: Sequence[str]) -> tuple[list[str], Shown, bool]:
    """The words without `--json` and `--quiet`, what is then shown, and whether JSON is wanted.

    They stand anywhere, before a command's name too, but not behind `--`.
    """
    end = words.index("--") if "--" in words else len(words)
    given = words[:end]
    kept = [word for word in given if word not in (JSON, *QUIET)]
    as_json, quiet = JSON in given, any(word in QUIET for word in given)
    _result.clear()
    return [*kept, *words[end:]], Shown(text=not (as_json or quiet), notes=not quiet), as_json


def document(command: str, exit_code: int, error: str | None) -> str:
    """The document as text; its schema is `cli/schema/output-1.json`."""
    from pydantic_core import to_jsonable_python

    content = {
        "schema": SCHEMA,
        "command": command,
        "exit_code": exit_code,
        "error": error,
        "result": to_jsonable_python(_result, fallback=str) if _result else None,
    }
    return json.dumps(content, indent=2)
