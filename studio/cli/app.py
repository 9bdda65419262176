"""The list of commands. Each command has a file of its own.

A command imports what it needs beyond the base installation only when it runs: ``rollcast scenarios``
must not wait for the simulation, and a deployment host does not have the simulation installed.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from studio.cli import (
    cache,
    compare,
    execute,
    export,
    import_,
    lab,
    plan,
    report,
    scenarios,
    sensitivity,
    simulate,
    validate,
    window,
)
from studio.cli.answers import why
from studio.cli.needs import needs

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


_ABOUT = """Simulate a rolling deployment before it runs, choose its settings, and carry out the plan.

Without a command the studio opens on the shipped example; where there is no display, the example is
compared and planned here. `rollcast FILE.yaml` opens a scenario in the studio.
"""

app = typer.Typer(
    name="rollcast",
    help=_ABOUT,
    cls=CommandsAndFiles,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(needs("simulation")(simulate.simulate))
app.command()(needs("simulation")(compare.compare))
app.command()(needs("simulation")(plan.plan))
app.command()(needs("simulation")(why.why))
app.command()(needs("simulation")(sensitivity.sensitivity))
app.command()(validate.validate)
app.command()(execute.execute)
app.command()(execute.resume)
app.command()(export.export)
app.command()(scenarios.new)
app.command("import")(needs("simulation", "import")(import_.import_))
app.command()(scenarios.scenarios)
app.command()(needs("studio")(window.studio))
app.command()(needs("simulation")(report.report))
app.command()(needs("simulation")(cache.cache))
app.add_typer(lab.app, name="lab")
app.command("help")(help_)


def _print_version(is_asked_for: bool) -> None:
    if is_asked_for:
        from importlib.metadata import version

        print(f"rollcast {version('rollcast')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def main_job(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> int | None:
    """Open the studio on the shipped example, or compare and plan the example where there is no display.

    This is what ``rollcast`` does without a command. ``rollcast FILE.yaml`` opens a scenario in the studio.
    """
    return window.main_job() if context.invoked_subcommand is None else None
