"""Which objectives runs miss, told from verdicts alone."""

from __future__ import annotations

from collections.abc import Sequence

from simulation.results.run_result import RunResult
from simulation.scenario.model import Scenario
from simulation.study.judging.figures import read_run
from simulation.study.verdict import verdict
from simulation.study.why.changes import limited_objectives, with_objectives
from simulation.study.why.diagnosis import ENDS_WELL


def meets(scenario: Scenario, run: RunResult) -> bool:
    """Return whether one run meets the objectives."""
    return read_run(scenario, run).is_good


def missed_objectives(scenario: Scenario, runs: Sequence[RunResult]) -> tuple[str, ...]:
    """Return the names of the objectives because of which the runs do not meet.

    These are the objectives that fail on their own; where each of them alone is undecided, all that
    any run misses. `ENDS_WELL` stands for rollouts that do not end well, whatever the objectives are.
    """
    without_limits = with_objectives(scenario, ())
    ended_well = [run for run in runs if meets(without_limits, run)]
    parts = {
        name: verdict(with_objectives(scenario, (name,)), ended_well)
        for name in limited_objectives(scenario)
        if ended_well
    }
    failing = [name for name, part in parts.items() if part.answer not in ("meets", "undecided")]
    missing = [name for name, part in parts.items() if part.runs_meeting < part.runs]
    if verdict(without_limits, runs).answer == "fails":
        return (ENDS_WELL, *failing)
    if failing:
        return tuple(failing)
    return (*([ENDS_WELL] if len(ended_well) < len(runs) else []), *missing)
