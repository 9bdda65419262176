"""The command line: which commands there are. Each has a file of its own.

What a command needs beyond the base installation is imported when it runs: ``rollcast scenarios``
must not wait for the simulation, and a deployment host has none.
"""

from __future__ import annotations

from typing import Annotated

import typer

from studio.cli import (
    compare,
    execute,
    export,
    import_,
    lab,
    new,
    plan,
    report,
    scenarios,
    sensitivity,
    simulate,
    validate,
    window,
)
from studio.cli.needs import needs

app = typer.Typer(
    name="rollcast",
    help="Simulate a rolling deployment before it runs, and export a validated plan.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(needs("simulation")(simulate.simulate))
app.command()(needs("simulation")(compare.compare))
app.command()(needs("simulation")(plan.plan))
app.command()(needs("simulation")(sensitivity.sensitivity))
app.command()(validate.validate)
app.command()(execute.execute)
app.command()(execute.resume)
app.command()(export.export)
app.command()(new.new)
app.command("import")(needs("simulation", "import")(import_.import_))
app.command()(scenarios.scenarios)
app.command()(needs("studio")(window.studio))
app.command()(needs("simulation")(report.report))
app.add_typer(lab.app, name="lab")


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"rollcast {version('rollcast')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def main_job(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> int | None:
    """Without a command: the studio on the shipped example, or its answer where there is no display."""
    return window.main_job() if context.invoked_subcommand is None else None
