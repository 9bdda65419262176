"""``rollcast execute`` and ``resume``: carry a plan out; the same as ``python -m executor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from executor.output import OutputFormat

Plan = Annotated[Path, typer.Argument(metavar="PLAN", help="A plan file.")]
Inventory = Annotated[
    Path, typer.Option("--inventory", metavar="FILE", help="Where the fleet is, and how to act.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the exact actions, do nothing.")]
TakeOver = Annotated[
    bool, typer.Option("--take-over", help="Take the lock of an executor that died.")
]
Trust = Annotated[
    list[Path] | None,
    typer.Option(metavar="KEY", help="Only plans signed by this public key. Repeatable."),
]
Approve = Annotated[
    str | None,
    typer.Option(metavar="terminal|FILE", help="Who lets each wave after the first begin."),
]
Journal = Annotated[Path | None, typer.Option(metavar="FILE", help="The journal; beside the plan.")]
Events = Annotated[
    OutputFormat,
    typer.Option(help="Standard output: text for people, or one JSON object a line."),
]
Verbose = Annotated[
    int,
    typer.Option(
        "-v", "--verbose", count=True, help="Diagnostics on standard error; -vv says more."
    ),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say only how it ended.")]


def execute(
    plan: Plan,
    inventory: Inventory,
    dry_run: DryRun = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what was begun.")] = False,
    take_over: TakeOver = False,
    trust: Trust = None,
    approve: Approve = None,
    journal: Journal = None,
    events: Events = OutputFormat.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> int:
    """Carry a plan out; exit 0 done, 3 refused, 4 halted, 5 rolled back, 130 interrupted."""
    from executor.diagnostics import configure_logging
    from executor.execute import Execute
    from executor.execute import execute as carry_out

    configure_logging(verbose)
    return carry_out(
        Execute(
            plan=plan,
            inventory=inventory,
            dry_run=dry_run,
            resume=resume,
            take_over=take_over,
            trust=tuple(trust or ()),
            approve=approve,
            journal=journal,
            quiet=quiet,
            events=events,
            program=("rollcast",),
        )
    )


def resume(
    plan: Plan,
    inventory: Inventory,
    dry_run: DryRun = False,
    take_over: TakeOver = False,
    trust: Trust = None,
    approve: Approve = None,
    journal: Journal = None,
    events: Events = OutputFormat.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> int:
    """Go on with a plan that was begun: the same as execute --resume."""
    return execute(
        plan,
        inventory,
        dry_run=dry_run,
        resume=True,
        take_over=take_over,
        trust=trust,
        approve=approve,
        journal=journal,
        events=events,
        verbose=verbose,
        quiet=quiet,
    )
