"""The search for the smallest changes with which a rollout would meet its objectives.

For each kind of change that can help against what failed, the search goes through a ladder of values:

1. Ten paired runs of the largest change: if these still break what the change should cure, no smaller
   one helps, and the kind is left out. Else bisection, ten runs a step, finds the smallest change
   whose runs break none of it. Starts are tried from the nearest on, in doubling steps.
2. As many runs as could show the objectives are simulated of this change. Where they do not show
   them, the next larger change follows.
3. The change is confirmed on a fresh seed with a number of runs that is fixed before. Only this
   confirmation counts. The confirmations of one kind share the error probability; each change that is
   offered is a statement about itself, as a row of a comparison is.

Steps 1 and 2 use the random numbers of the study.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from simulation.planning.alternatives.helping import helping_kinds, is_clear, objectives_at_fault
from simulation.planning.alternatives.ladders import Rung, find_smallest, ladders_of
from simulation.planning.alternatives.model import (
    LIMITS,
    Alternative,
    Alternatives,
    Change,
    ChangeKind,
    Cost,
)
from simulation.planning.alternatives.simulator import (
    BudgetSpent,
    ProgressCallback,
    Simulator,
    Stopped,
)
from simulation.planning.search import Simulate
from simulation.planning.search_result import SearchResult
from simulation.planning.starts import without_start
from simulation.results.run_result import RunResult
from simulation.scenario.model import Scenario
from simulation.study.candidate_result import CandidateResult
from simulation.study.candidates import Candidate
from simulation.study.case import Case
from simulation.study.cells import run_cells
from simulation.study.compare import Comparison
from simulation.study.confirmation import confirm, confirmed_scenario
from simulation.study.execution import DEFAULT_EXECUTION, Execution
from simulation.study.statistics.proportions import (
    FIRST_LOOK,
    fewest_runs,
    fresh_seed,
)

MOST_BASES = 4
"""Maximum number of candidates that are changed: those that come nearest to the objectives."""

MOST_LARGER = 4
"""Maximum number of larger changes that are tried where the smallest one does not suffice after more runs."""

MOST_CONFIRMATIONS = 2
"""Maximum number of confirmations of one kind of change."""

FIRST_FRESH_SEED = 1000
"""Number of the first fresh seed of a confirmation, beyond those of the search for a candidate."""

_DURATION, _P99, _ERRORS = (
    "rollout_duration_s",
    "rollout_latency_p99_s",
    "rollout_error_fraction",
)

Tried = tuple[Case, CandidateResult | None]
"""A candidate that does not meet the objectives, and its result where runs of it exist."""


def has_alternatives(comparison: Comparison) -> bool:
    """Return whether every candidate of a comparison is shown not to meet the objectives.

    Where one is undecided, more is to be known of it before anything is changed.
    """
    return comparison.scenario.rollout is not None and all(
        result.verdict.answer not in ("meets", "undecided") for result in comparison.candidates
    )


def tried_in_comparison(comparison: Comparison) -> list[Tried]:
    """Return the candidates of a comparison."""
    return [(result.case, result) for result in comparison.candidates]


def tried_in_search(found: SearchResult) -> list[Tried]:
    """Return the candidates of a search, without those that have no traffic.

    A candidate that was not confirmed counts by its confirmation.
    """
    confirmed = {one.number: one.result for one in found.confirmations}
    return [
        (outcome.case, confirmed.get(number, outcome.result))
        for number, outcome in enumerate(found.looked)
        if outcome.outcome != "no traffic"
    ]


def find_alternatives(
    scenario: Scenario,
    tried: Sequence[Tried],
    execution: Execution = DEFAULT_EXECUTION,
    *,
    simulate: Simulate = run_cells,
    on_progress: ProgressCallback = lambda what, done, total: None,
) -> Alternatives | None:
    """Find the smallest changes that would let a rollout meet its objectives; return None when stopped.

    Args:
        scenario: The study's scenario.
        tried: The candidates, none of which meets the objectives.
        execution: Where and how to simulate; it is asked after each run whether to stop.
        simulate: What simulates cells.
        on_progress: Called with the kind of change, the number of runs so far, and their maximum.
    """
    simulator = Simulator(scenario, execution, simulate, on_progress)
    try:
        return _Finder(scenario, tried, simulator).find()
    except Stopped:
        return None


class _Base:
    """A candidate that is changed.

    Attributes:
        number: Its index among the candidates tried.
        case: The candidate and its scenario.
        result: Its result.
        kinds: The kinds of changes that can help against everything that it breaks.
        lasts_s: The mean duration of its rollout; infinite where it never ended.
    """

    def __init__(self, number: int, case: Case, result: CandidateResult) -> None:
        self.number, self.case, self.result = number, case, result
        self.at_fault = objectives_at_fault(result)
        self.kinds = helping_kinds(self.at_fault)
        mean_s = result.metrics[_DURATION].mean
        self.lasts_s = math.inf if mean_s is None else mean_s

    def rank(self) -> tuple[float, float]:
        """Return how far the candidate is from its objectives; the nearest ranks first."""
        verdict = self.result.verdict
        return 1 - verdict.runs_meeting / verdict.runs, _excess(self.result)


class _Finder:
    """A search under way."""

    def __init__(self, scenario: Scenario, tried: Sequence[Tried], simulator: Simulator) -> None:
        self._scenario, self._tried, self._simulator = scenario, tried, simulator
        objectives = scenario.objectives
        self._asked = (objectives.in_runs, objectives.confidence)
        self._enough = fewest_runs(*self._asked)
        self._offered: list[Alternative] = []
        self._confirmations = 0

    def find(self) -> Alternatives:
        """Search all kinds of changes that can help."""
        searched: list[ChangeKind] = []
        waiting = [*ChangeKind]
        try:
            bases = self._bases()
            waiting = _kinds_in_order(bases)
            while waiting:
                kind = waiting[0]
                self._simulator.task = kind
                ladders = _ladders(kind, bases)
                self._search_kind(kind, ladders)
                waiting.pop(0)
                if ladders:
                    searched.append(kind)
        except BudgetSpent:
            pass
        return Alternatives(
            scenario=self._scenario,
            offered=tuple(self._offered),
            tried=tuple(searched),
            not_searched=tuple(waiting),
            runs_count=self._simulator.runs_count,
            budget_runs=self._simulator.budget_runs,
        )

    def _bases(self) -> list[_Base]:
        """Return the candidates nearest to the objectives, one for each way to roll."""
        known = [
            _Base(number, case, result)
            for number, (case, result) in enumerate(self._tried)
            if result is not None
        ]
        nearest: dict[Candidate, _Base] = {}
        for base in sorted(known, key=_Base.rank):
            nearest.setdefault(without_start(base.case.candidate), base)
        for number, (case, _result) in enumerate(self._tried):
            way = without_start(case.candidate)
            if len(nearest) < MOST_BASES and way not in nearest:
                nearest[way] = _Base(number, case, self._simulator.simulate(case, FIRST_LOOK))
        return sorted(nearest.values(), key=_Base.rank)[:MOST_BASES]

    def _search_kind(self, kind: ChangeKind, ladders: Sequence[tuple[_Base, list[Rung]]]) -> None:
        """Offer the smallest change of a kind that is confirmed, if there is one.

        Of two candidates that need the same change, the faster one gets it.
        """
        best: tuple[_Base, list[Rung], int] | None = None
        for base, ladder in ladders:
            rungs = ladder
            if best is not None:
                size, is_faster = best[1][best[2]].change.size, base.lasts_s < best[0].lasts_s
                rungs = [
                    rung
                    for rung in ladder
                    if rung.change.size < size or (is_faster and rung.change.size == size)
                ]
            place = self._find_sufficient(kind, rungs)
            if place is not None:
                best = (base, ladder, place)
        for number in range(1, MOST_CONFIRMATIONS + 1):
            if best is None or self._offer(kind, best[0], best[1][best[2]], number):
                return
            base, ladder, place = best
            larger = self._first_sufficient(kind, ladder, place + 1)
            best = None if larger is None else (base, ladder, larger)

    def _find_sufficient(self, kind: ChangeKind, rungs: Sequence[Rung]) -> int | None:
        """Return the index of the smallest change after which the runs show the objectives."""

        def suffices(index: int) -> bool:
            return is_clear(self._simulator.simulate(rungs[index].case, FIRST_LOOK), kind)

        # At the most distant start so few requests may come that its p99 is noise, and a surge of the
        # whole fleet makes all instances cold at once.
        is_from_first = kind in (
            ChangeKind.EARLIER_START,
            ChangeKind.LATER_START,
            ChangeKind.SURGE,
        )
        first = find_smallest(len(rungs), suffices, asks_last_first=not is_from_first)
        return None if first is None else self._first_sufficient(kind, rungs, first)

    def _first_sufficient(self, kind: ChangeKind, rungs: Sequence[Rung], first: int) -> int | None:
        """Return the first index from ``first`` on after which the runs show the objectives.

        The steps double. None where they break an objective against which a larger change cannot help.
        """
        for index in _doubling(first, len(rungs)):
            result = self._simulator.simulate(rungs[index].case, FIRST_LOOK)
            if result.verdict.answer != "fails":
                result = self._simulator.simulate(rungs[index].case, self._enough)
            if result.verdict.answer == "meets":
                return index
            if kind not in helping_kinds(objectives_at_fault(result)):
                return None
        return None

    def _offer(self, kind: ChangeKind, base: _Base, rung: Rung, number: int) -> bool:
        """Confirm a change on a fresh seed and offer it; return whether the kind needs no other.

        Args:
            kind: The kind of change.
            base: The candidate that is changed.
            rung: The change.
            number: Number of this confirmation among those of the kind, from 1.
        """
        if any(_is_same(rung, offered) for offered in self._offered):
            return True
        screened = self._simulator.simulate(rung.case, self._enough).verdict
        most = 5 * max(self._scenario.replications or 0, self._enough)
        scenario = confirmed_scenario(rung.case.scenario, screened, number, most)
        seed = fresh_seed(self._scenario.seed, FIRST_FRESH_SEED + self._confirmations)
        self._confirmations += 1

        def simulate(case: Case) -> Sequence[RunResult]:
            return self._simulator.simulate(case, case.scenario.replications or 0).runs

        scenario = scenario.model_copy(update={"seed": seed})
        confirmed = confirm(base.number, scenario, number, simulate)
        if confirmed.held:
            cost = _cost(kind, rung.change, base.result, confirmed.result)
            self._offered.append(Alternative(rung.change, rung.case, cost, confirmed))
        return confirmed.held


def _excess(result: CandidateResult) -> float:
    """Return by which factor the worst mean figure is above its limit; infinite without a figure."""
    objectives = result.scenario.objectives
    ratios = []
    for name, limit in (
        (_DURATION, objectives.duration),
        (_P99, objectives.latency_p99),
        (_ERRORS, objectives.error_fraction),
    ):
        if limit:
            mean = result.metrics[name].mean
            ratios.append(math.inf if mean is None else mean / limit)
    return max(ratios, default=0.0)


def _kinds_in_order(bases: Sequence[_Base]) -> list[ChangeKind]:
    """Return the kinds that can help, those of the nearest candidate first, and relaxed limits last."""
    kinds = list(dict.fromkeys(kind for base in bases for kind in base.kinds))
    return sorted(kinds, key=lambda kind: kind in LIMITS)


def _ladders(kind: ChangeKind, bases: Sequence[_Base]) -> list[tuple[_Base, list[Rung]]]:
    """Return the ladders of a kind that have a rung, each with the candidate that it changes."""
    return [
        (base, ladder)
        for base in bases
        if kind in base.kinds
        for ladder in ladders_of(kind, base.case, base.lasts_s)
        if ladder
    ]


def _doubling(first: int, count: int) -> Iterator[int]:
    """Yield ``first``, then indices at 1, 3, 7, … beyond it, below ``count``."""
    for step in range(MOST_LARGER + 1):
        index = first + 2**step - 1
        if index < count:
            yield index


def _is_same(rung: Rung, offered: Alternative) -> bool:
    return (
        rung.change.key == offered.change.key
        and rung.change.value == offered.change.value
        and rung.case.candidate == offered.candidate
    )


def _cost(
    kind: ChangeKind, change: Change, before: CandidateResult, after: CandidateResult
) -> Cost:
    durations = before.metrics[_DURATION].mean, after.metrics[_DURATION].mean
    longer_s = None if None in durations else durations[1] - durations[0]  # type: ignore[operator]
    match kind:
        case ChangeKind.MORE_INSTANCES:
            return Cost(instances_count=round(change.size), duration_s=longer_s)
        case ChangeKind.SURGE:
            assert isinstance(change.value, int) and isinstance(change.before, int)
            return Cost(surge_count=change.value - change.before, duration_s=longer_s)
        case ChangeKind.EARLIER_START:
            return Cost(later_s=-change.size, duration_s=longer_s)
        case ChangeKind.LATER_START:
            return Cost(later_s=change.size, duration_s=longer_s)
        case _ if kind in LIMITS:
            return Cost(limit_by=change.size, duration_s=0.0)
        case _:
            return Cost(duration_s=longer_s)
