"""``rollcast execute`` and ``resume``: carry a plan out; the same as ``python -m executor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from executor.output import OutputFormat

Plan = Annotated[Path, typer.Argument(metavar="PLAN", help="The plan file.")]
Inventory = Annotated[
    Path,
    typer.Option(
        "--inventory",
        metavar="FILE",
        help="The inventory file: where the instances and the load balancer are, and how to act on them.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Look at the fleet, print the exact actions, and change nothing."
    ),
]
TakeOver = Annotated[
    bool,
    typer.Option(
        "--take-over", help="Take over the lock that an executor which died has left on the fleet."
    ),
]
Trust = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="KEY",
        help="Accept only plans signed with this public key or a key of the inventory; repeatable (default: the inventory's keys).",
    ),
]
Approve = Annotated[
    str | None,
    typer.Option(
        metavar="terminal|FILE",
        help="Ask on the terminal, or wait for this file, before each wave after the first (default: no approval).",
    ),
]
Journal = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="The journal of the rollout (default: PLAN.journal beside the plan)."
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "-q", "--quiet", help="Print only warnings, errors, questions and how the rollout ended."
    ),
]
Events = Annotated[
    OutputFormat,
    typer.Option(
        help="Standard output: text for people, or one JSON object a line (default: text)."
    ),
]
Verbose = Annotated[
    int,
    typer.Option(
        "-v",
        "--verbose",
        count=True,
        help="Write diagnostics to standard error; -vv writes more (default: warnings only).",
    ),
]


def execute(
    plan: Plan,
    inventory: Inventory,
    dry_run: DryRun = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a rollout that was begun.")
    ] = False,
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
