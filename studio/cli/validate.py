"""``rollcast validate``: every rule of a plan or a scenario, in plain words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from executor.base.errors import BadInput, Refused
from executor.base.extras import require_extra
from studio.cli import options as o


def validate(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="PLAN_OR_SCENARIO", help="The plan (.json) or scenario file to check."
        ),
    ],
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="Also simulate the plan's scenario again and compare the predictions."
        ),
    ] = False,
    inventory: Annotated[
        Path | None,
        typer.Option(
            "--inventory",
            metavar="FILE",
            help="Also check the plan against the fleet of this inventory (default: none).",
        ),
    ] = None,
    jobs: o.Jobs = None,
) -> int:
    """Check a plan (.json) or a scenario; exit 0 when it is sound, 3 when a check fails."""
    if _is_plan(file):
        return _plan(file, again, inventory, jobs)
    if inventory is not None:
        raise BadInput(f"--inventory {inventory}: only a plan can be held against a fleet")
    require_extra("simulation", f"{file}: a scenario's validation")
    from studio.views.sentences import ignored_lines, note_lines

    scenario = o.load(file, None)
    print(f"✓ {file} is a scenario that can be simulated")
    highest_rps = scenario.highest_rps()
    for name, service in scenario.services.items():
        asked = scenario.share_of(name) * highest_rps
        print(
            f"  {service.instance_count} instances of {name} serve up to "
            f"{service.capacity_rps:.4g} requests/s, the traffic's highest is {asked:.4g} requests/s"
        )
    for line in [*note_lines(scenario), *ignored_lines(scenario)]:
        print(f"! {line}")
    return 0


def _is_plan(file: Path) -> bool:
    """By its name, or by its content: a plan begins as JSON does, and no scenario does."""
    if file.suffix == ".json":
        return True
    try:
        with file.open("rb") as content:
            return content.read(1) == b"{"
    except OSError:
        return False  # reading the scenario says why


def _plan(file: Path, again: bool, inventory: Path | None, jobs: int | None) -> int:
    """The executor's checks, and on demand the simulation's."""
    from datetime import UTC, datetime

    if again:
        require_extra("simulation", "--again")
    from executor.__main__ import validate_report
    from executor.plan.file import read_plan

    plan = read_plan(file)
    lines, sound = validate_report(plan, datetime.now(UTC), inventory)
    if again and sound:
        from simulation.planning.make_plan import resimulate
        from simulation.study.execution import Execution

        differing = resimulate(plan, Execution(jobs=jobs))
        mark = "✗" if differing else "✓"
        lines.append(f"{mark} simulated again, the embedded scenario gives the same prediction")
        lines.extend(f"    {one}" for one in differing)
        sound = not differing
    print("\n".join(lines))
    return 0 if sound else Refused.exit_code
