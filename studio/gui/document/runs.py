"""Simulated runs that are kept: the rows of the dock *Runs*.

The runs of the latest comparison replace those of the previous one. A run that the user has named
or shown in *Compare* stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from executor.base.canonical_json import digest_of
from simulation.scenario.model import Scenario
from studio.views.figures_text import candidate_name

if TYPE_CHECKING:
    from simulation.study.candidate_result import CandidateResult, ControlResult
    from simulation.study.compare import Comparison

MOST_SIDE_BY_SIDE = 4
"""Maximum number of runs side by side in *Compare*."""


@dataclass(frozen=True)
class KeptRun:
    """A simulated candidate with all its replications.

    Attributes:
        key: Identifies the run: equal for the same scenario and candidate.
        name: The name: what differs from the neighbours, or the user's name.
        scenario: The scenario with the candidate applied.
        result: The result.
        control: The result of the same start without a rollout; None where there is none.
        is_named: Whether the user has named the run.
        is_compared: Whether the user has shown the run in *Compare* (True) or hidden it (False);
            None for neither.
        is_baseline: Whether the user has made the run the baseline.
    """

    key: str
    name: str
    scenario: Scenario
    result: CandidateResult
    control: ControlResult | None = None
    is_named: bool = False
    is_compared: bool | None = None
    is_baseline: bool = False

    @property
    def is_kept(self) -> bool:
        """Return whether the run stays when the next comparison replaces its own."""
        return self.is_named or bool(self.is_compared)


def run_key(scenario: Scenario) -> str:
    """Return a key that identifies a run, whatever its number of replications."""
    data = scenario.as_data()
    for name in ("name", "question", "replications"):
        data.pop(name, None)
    return digest_of(data)


def merge_results(
    runs: Sequence[KeptRun], comparison: Comparison, keys: Sequence[str], removed: frozenset[str]
) -> tuple[KeptRun, ...]:
    """Return the runs after new results: kept ones first, then those of the comparison.

    Args:
        runs: The runs so far.
        comparison: The new results.
        keys: The key of each candidate.
        removed: Keys of the runs that the user has removed.
    """
    run_by_key = {run.key: run for run in runs}
    new_runs = {}
    for index, (key, result) in enumerate(zip(keys, comparison.candidates, strict=True)):
        if key in removed:
            continue
        control = comparison.control_of(result)
        new_run = KeptRun(key, candidate_name(comparison, index), result.scenario, result, control)
        previous = run_by_key.get(key)
        if previous is not None:
            name = previous.name if previous.is_named else new_run.name
            new_run = replace(
                previous, name=name, scenario=result.scenario, result=result, control=control
            )
        new_runs[key] = new_run
    kept_runs = [new_runs.pop(run.key, run) for run in runs if run.is_kept]
    return (*kept_runs, *new_runs.values())


def side_by_side(runs: Sequence[KeptRun], selected_key: str | None) -> tuple[KeptRun, ...]:
    """Return the runs that *Compare* shows: those that the user chose, or the neighbours of the selected one.

    Args:
        runs: All runs.
        selected_key: The key of the selected run.
    """
    chosen_runs = [run for run in runs if run.is_compared]
    if chosen_runs:
        return tuple(chosen_runs[:MOST_SIDE_BY_SIDE])
    candidates = [run for run in runs if run.is_compared is None]
    keys = set(_nearest(candidates, selected_key))
    return tuple(run for run in candidates if run.key in keys)


def baseline_of(runs: Sequence[KeptRun]) -> int:
    """Return the index of the baseline among runs side by side: the first one until the user chooses."""
    return next((index for index, run in enumerate(runs) if run.is_baseline), 0)


def _nearest(runs: Sequence[KeptRun], selected_key: str | None) -> Iterator[str]:
    """Yield the keys of the runs around the selected one, `MOST_SIDE_BY_SIDE` at most."""
    indices = [index for index, run in enumerate(runs) if run.key == selected_key]
    middle = indices[0] if indices else 0
    first = max(0, min(middle - 1, len(runs) - MOST_SIDE_BY_SIDE))
    yield from (run.key for run in runs[first : first + MOST_SIDE_BY_SIDE])
