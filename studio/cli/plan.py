"""``rollcast plan``: the best, or the named, candidate as a validated plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from executor.errors import BadInput, Refused
from studio.cli import options as o

if TYPE_CHECKING:
    from simulation.compare import Comparison


def plan(
    scenario: o.ScenarioPath,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The plan file.")],
    window: Annotated[
        str | None, typer.Option(metavar="N|P%", help="This window, not the fastest that meets.")
    ] = None,
    windows: o.Windows = None,
    valid_for: Annotated[str, typer.Option(help="How long it may be carried out.")] = "7d",
    sign: Annotated[
        Path | None, typer.Option(metavar="KEY", help="Sign it with this Ed25519 private key.")
    ] = None,
    seed: o.Seed = None,
    replications: o.Replications = None,
    engine: o.Engine = "auto",
    jobs: o.Jobs = None,
    sets: o.Sets = None,
    quiet: o.Quiet = False,
) -> None:
    """Simulate, choose the fastest candidate that meets the objectives, write its plan."""
    from simulation.scenario_rollout import parse_window
    from simulation.study import candidates_of, default_windows
    from simulation.units import parse_duration_s

    if window is not None and windows is not None:
        raise BadInput("--window and --windows: must not both be given")
    o.must_be_writable(scenario, output)
    if sign is not None:
        from executor.signing import private_key

        private_key(sign)  # one that cannot be used is told before anything is simulated
    loaded = o.load(scenario, sets, seed, replications)
    o.get_ready(engine, quiet)
    if loaded.rollout is None:
        raise BadInput(f"{scenario}: rollout: is missing, there is nothing to plan")
    valid_for_s = o.one_value("--valid-for", valid_for, parse_duration_s)
    if valid_for_s == 0:
        raise BadInput(f"--valid-for {valid_for}: must be above 0")
    if window is not None:
        chosen = [o.one_value("--window", window, parse_window)]
    else:
        chosen = o.comma_list("--windows", windows, parse_window) or [*default_windows(loaded)]
    candidates = candidates_of(loaded, chosen)
    comparison, _rows = o.simulated(loaded, candidates, jobs=jobs, quiet=quiet, engine=engine)
    write_chosen(comparison, output, valid_for_s, sign)


def write_chosen(
    comparison: Comparison, output: Path, valid_for_s: float, sign: Path | None = None
) -> None:
    """Writes the plan of the chosen candidate and says so.

    Raises:
        Refused: No candidate meets the objectives; the message says why for each.
    """
    from executor.plan_file import write_plan
    from simulation.planner import make_plan
    from studio.format import candidate_name, duration_text, verdict_sentence

    if comparison.chosen is None:
        told = [
            f"{candidate_name(comparison, index).lower()} {result.verdict.answer}: "
            + ", ".join(result.verdict.reasons)
            for index, result in enumerate(comparison.candidates)
        ]
        raise Refused(f"no plan is written, none meets the objectives: {'; '.join(told)}")
    result = comparison.candidates[comparison.chosen]
    made = make_plan(comparison.scenario, result, valid_for_s)
    if sign is not None:
        from executor.signing import signed

        made = signed(made, sign)
    write_plan(output, made)
    takes = duration_text(result.metrics["rollout_duration_s"].mean)
    print(f"{verdict_sentence(comparison, comparison.chosen)}; it takes {takes}.")
    print(f"The plan is in {output}")
