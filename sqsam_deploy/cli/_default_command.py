"""A command with others beside it: `sqsam-pull NAME`, and `sqsam-pull list`."""

from typing import Any

from typer.core import TyperGroup


class DefaultCommandGroup(TyperGroup):
    """Runs the command named by `default_command` unless another one is asked for by name."""

    default_command: str

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts the default command's name before arguments that begin with no command's name."""
        if not args or args[0] not in self.commands:
            args = [self.default_command, *args]
        return list(super().parse_args(ctx, args))
