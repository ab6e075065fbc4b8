"""What the tests of `sqsam-publish` and `sqsam-pull` share: a store of small synthetic releases."""

import sys
from dataclasses import dataclass

import pytest

from tests.release.export_builder import ExportBuilder

__all__ = ["Command", "ExportBuilder", "Said"]


@dataclass(frozen=True)
class Said:
    """How a command ended and what it printed."""

    code: int
    out: str
    error: str


class Command:
    """Runs a command's entry point as the console script does, in this process."""

    def __init__(
        self,
        module: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self._module, self._monkeypatch, self._capsys = module, monkeypatch, capsys

    def __call__(self, *arguments: object) -> Said:
        from importlib import import_module

        self._monkeypatch.setattr(sys, "argv", ["sqsam", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            import_module(self._module).main()
            raise SystemExit(0)
        printed = self._capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0, printed.out, printed.err)
