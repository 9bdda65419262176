"""How the command line finds a command: by its name, or by a scenario file that is named alone."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

_SCENARIO_ENDINGS = (".yaml", ".yml")


class CommandsAndFiles(TyperGroup):
    """The commands, and ``rollcast FILE.yaml``, which opens the file in the studio."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first argument names, and the arguments that are left for it."""
        if args and args[0] not in self.commands and args[0].endswith(_SCENARIO_ENDINGS):
            return "studio", self.commands["studio"], args
        return super().resolve_command(ctx, args)


def help_(
    context: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMAND",
            help="The command, such as compare or lab run (default: the list of all commands).",
        ),
    ] = None,
) -> None:
    """Show what a command does and which options it has."""
    shown: Any = context.parent
    for name in command or ():
        # A command that has none below it takes no more names.
        group = shown.command
        found = group.get_command(shown, name) if isinstance(group, TyperGroup) else None
        if found is None:
            raise typer.BadParameter(f"no such command: {' '.join(command or ())}")
        shown = type(context)(found, info_name=name, parent=shown)
    print(shown.get_help())
