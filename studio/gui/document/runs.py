"""What was simulated and is kept: the rows of the dock *Runs*.

Enters: a comparison, whenever results land. Leaves: the runs. Those of the latest comparison come
and go with it; what a person has named or put into *Compare* stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from executor.base.canonical_json import digest_of
from simulation.scenario.model import Scenario
from simulation.study.candidates import Candidate
from studio.views.figures_text import candidate_name

if TYPE_CHECKING:
    from simulation.study.compare import CandidateResult, Comparison

MOST_SIDE_BY_SIDE = 4
"""So many runs stand side by side in *Compare*."""


@dataclass(frozen=True)
class KeptRun:
    """A candidate that was simulated, with all its replications.

    Attributes:
        key: What it is known by: the same scenario and candidate have the same.
        name: What it is called: what differs from its neighbours, or what a person called it.
        scenario: The scenario with the candidate in it.
        result: What came of it.
        is_named: Whether a person gave it its name.
        is_compared: Whether a person put it into *Compare*, or took it out; None for neither.
        is_baseline: Whether a person has the others measured by it.
    """

    key: str
    name: str
    scenario: Scenario
    result: CandidateResult
    is_named: bool = False
    is_compared: bool | None = None
    is_baseline: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether it stays when other results take the place of its comparison's."""
        return self.is_named or bool(self.is_compared)


def run_key(scenario: Scenario, candidate: Candidate) -> str:
    """What tells a run from all others, however many replications have landed."""
    data = candidate.apply_to(scenario).as_data()
    for name in ("name", "question", "replications"):
        data.pop(name, None)
    return digest_of(data)


def merge_results(
    runs: Sequence[KeptRun], comparison: Comparison, keys: Sequence[str], removed: frozenset[str]
) -> tuple[KeptRun, ...]:
    """The runs once results have landed: kept ones first, then the comparison's.

    Args:
        runs: Those there were.
        comparison: What has landed.
        keys: The key of each of its candidates.
        removed: Keys of what a person has removed.
    """
    known = {run.key: run for run in runs}
    landed = {}
    for index, (key, result) in enumerate(zip(keys, comparison.candidates, strict=True)):
        if key in removed:
            continue
        applied = result.candidate.apply_to(comparison.scenario)
        one = KeptRun(key, candidate_name(comparison, index), applied, result)
        before = known.get(key)
        if before is not None:
            name = before.name if before.is_named else one.name
            one = replace(before, name=name, scenario=applied, result=result)
        landed[key] = one
    kept = [landed.pop(run.key, run) for run in runs if run.is_kept]
    return (*kept, *landed.values())


def side_by_side(runs: Sequence[KeptRun], looked_at: str | None) -> tuple[KeptRun, ...]:
    """What *Compare* shows: what a person has put there, else those around the one looked at.

    Args:
        runs: All runs.
        looked_at: The key of the one that is looked at.
    """
    asked = [run for run in runs if run.is_compared]
    if asked:
        return tuple(asked[:MOST_SIDE_BY_SIDE])
    open_ones = [run for run in runs if run.is_compared is None]
    wanted = set(_nearest(open_ones, looked_at))
    return tuple(run for run in open_ones if run.key in wanted)


def baseline_of(runs: Sequence[KeptRun]) -> int:
    """Which of the runs side by side the others are measured by: the first until a person says."""
    return next((place for place, run in enumerate(runs) if run.is_baseline), 0)


def _nearest(runs: Sequence[KeptRun], looked_at: str | None) -> Iterator[str]:
    """The keys of so many as fit, the one looked at among them."""
    places = [place for place, run in enumerate(runs) if run.key == looked_at]
    middle = places[0] if places else 0
    first = max(0, min(middle - 1, len(runs) - MOST_SIDE_BY_SIDE))
    yield from (run.key for run in runs[first : first + MOST_SIDE_BY_SIDE])
