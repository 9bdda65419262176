"""The planner's search: find the fastest candidate that meets the objectives, and confirm it.

The search spends runs where they decide something:

1. Candidates that cannot succeed get no run: a start in a freeze or beside a gap of the trace, and
   what the closed forms call hopeless.
2. All others get ten paired runs each; candidates that clearly fail are dropped.
3. The fastest one gets more runs until it is decided, then the next. These runs cost no error
   probability: they only choose which candidate is confirmed.
4. A candidate that looks good is simulated once more on a fresh seed, with a number of runs that is
   fixed before. Only this confirmation counts, and all confirmations together share the error
   probability (`statistics.confirmation_confidence`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from executor.base.errors import BadInput
from executor.plan.model import Outcome, Verdict
from simulation.estimates.estimate import estimate
from simulation.planning.make_plan import self_contained
from simulation.planning.search_result import CandidateOutcome, SearchResult
from simulation.planning.search_runs import search_runs
from simulation.planning.starts import busiest_of, describe_effect_of_start, siblings_of
from simulation.results.run_result import RunResult
from simulation.results.states import StateIntervals
from simulation.run import traffic_around
from simulation.scenario.freeze import find_freeze
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.study.candidate_result import CandidateResult, candidate_result
from simulation.study.candidates import Candidate
from simulation.study.case import Case, frame_of_cases
from simulation.study.cells import Cell, run_cells
from simulation.study.compare import Confirmed, front_of
from simulation.study.confirmation import MOST_CONFIRMATIONS, confirm, confirmed_scenario
from simulation.study.execution import DEFAULT_EXECUTION, Execution
from simulation.study.statistics.means import Difference
from simulation.study.statistics.proportions import FIRST_LOOK, next_look
from simulation.study.summary.speed import AS_FAST, slower_by

Simulate = Callable[
    [Sequence[Cell], SimulatedInterval, Execution], Iterator[tuple[Cell, RunResult]]
]
"""Simulates cells, as `simulation.study.cells.run_cells` does."""

ProgressCallback = Callable[[str, int, int], None]
"""Is called with what is being done, how many runs of it are done, and of how many."""


class _Stopped(Exception):
    """The search was stopped by its caller."""


def search(
    scenario: Scenario,
    cases: Sequence[Case],
    execution: Execution = DEFAULT_EXECUTION,
    *,
    simulate: Simulate = run_cells,
    known: Mapping[Candidate, Sequence[RunResult]] | None = None,
    accepted: Collection[str] = (),
    on_progress: ProgressCallback = lambda what, done, total: None,
) -> SearchResult | None:
    """Find the fastest candidate that meets the objectives; return None when stopped.

    Args:
        scenario: The study's scenario. Its `replications`, if any, are the minimum number of runs
            of a confirmation. Five times this number, or five times the number that the objectives need
            where that is higher, is the maximum number of runs of one candidate in the search; ten
            times this maximum is the budget of runs beyond the first ten of each candidate.
        cases: A finite grid, see `cases_of`.
        execution: Where and how to simulate; it is asked after each run whether to stop.
        simulate: What simulates cells.
        known: Runs of candidates that exist already, on the scenario's own seed, by replication from
            0 on.
        accepted: Keys of the objectives that may be missed without a rollout too, such as ``latency_p99``.
        on_progress: Called with what is being done, how many runs of it are done, and of how many.

    Raises:
        BadInput: The only start meets a gap or the end of a trace.
    """
    try:
        under_way = _Search(
            scenario, cases, execution, simulate, on_progress, accepted=frozenset(accepted)
        )
        return under_way.run(known or {})
    except _Stopped:
        return None


class _Search:
    """A search under way: the runs of each candidate, and the outcome of those that are decided.

    Candidates are named by their index.
    """

    def __init__(
        self,
        scenario: Scenario,
        cases: Sequence[Case],
        execution: Execution,
        simulate: Simulate,
        on_progress: ProgressCallback,
        *,
        accepted: frozenset[str],
    ) -> None:
        self._scenario, self._accepted = scenario, accepted
        self._cases = tuple(cases)
        self._execution, self._simulate, self._report = execution, simulate, on_progress
        self._runs: list[list[RunResult]] = [[] for _ in cases]
        self._results: dict[int, CandidateResult] = {}
        self._out: dict[int, tuple[Outcome, str]] = {}
        self._confirmations: list[Confirmed] = []
        objectives = scenario.objectives
        self._asked = (objectives.in_runs, objectives.confidence)
        planned = search_runs(scenario)
        self._most, self._budget = planned.most, planned.budget
        self._frame = frame_of_cases(cases)
        # Each case has its own horizon: a slow rollout needs more of a trace than a fast one.
        self._frames = [
            replace(self._frame, horizon_s=frame_of_cases([case]).horizon_s) for case in cases
        ]

    def run(self, known: Mapping[Candidate, Sequence[RunResult]]) -> SearchResult:
        """Run the search."""
        for number, case in enumerate(self._cases):
            self._runs[number] = [without_drawings(run) for run in known.get(case.candidate, ())]
        self._drop_without_runs()
        self._simulate_until(self._in_play(), FIRST_LOOK)
        for number in self._in_play():
            self._drop_failing(number)
        chosen = None
        while chosen is None and (best := self._next_candidate()) is not None:
            if self._decide(best) and self._confirm(best):
                chosen = best
        if chosen is None:
            return self._make_result(None, None, "")
        busiest, starts = self._compare_starts(chosen)
        for number in self._in_play():
            if number != chosen:
                self._out[number] = self._behind(number, chosen)
        return self._make_result(chosen, busiest, starts)

    def _in_play(self) -> list[int]:
        return [number for number in range(len(self._cases)) if number not in self._out]

    def _outcome(self, number: int) -> Outcome | None:
        return self._out[number][0] if number in self._out else None

    def _drop_without_runs(self) -> None:
        """Drop candidates that cannot succeed, without a run."""
        several = len({case.candidate.start for case in self._cases}) > 1
        for number, case in enumerate(self._cases):
            if self._execution.is_stopped():
                raise _Stopped
            frozen = find_freeze(case.scenario, 0.0)
            if frozen is not None:
                self._out[number] = ("frozen", f"starts in the freeze {frozen}")
            elif (
                several
                and (ends_s := self._data_ends_s(case.scenario)) < self._frames[number].horizon_s
            ):
                where = f"{ends_s:.0f} s after the start" if ends_s > 0 else "at the start"
                self._out[number] = ("no traffic", f"the trace has a gap or its end {where}")
            elif not self._runs[number] and (hopeless := estimate(case.scenario).hopeless):
                self._out[number] = ("hopeless", "; ".join(hopeless))

    def _data_ends_s(self, scenario: Scenario) -> float:
        """Return when the data of the traffic that a run may need ends, in seconds from the start."""
        try:
            return traffic_around(scenario, self._frame).data_ends_s()
        except BadInput:  # the start lies outside the trace
            return -math.inf

    def _simulate_until(self, numbers: Sequence[int], until: int) -> None:
        """Simulate candidates until each has ``until`` runs, the same replications for all."""
        cells: dict[SimulatedInterval, list[Cell]] = {}
        for replication in range(until):
            for number in numbers:
                if replication >= len(self._runs[number]):
                    cell = Cell(self._cases[number], replication)
                    cells.setdefault(self._frames[number], []).append(cell)
        results: dict[Cell, RunResult] = {}
        for frame, group in cells.items():
            results |= self._simulate_cells(group, frame, "looking")
        for number in numbers:
            runs = self._runs[number]
            case = self._cases[number]
            runs += [results[Cell(case, k)] for k in range(len(runs), until)]

    def _simulate_cells(
        self, cells: Sequence[Cell], frame: SimulatedInterval, what: str
    ) -> dict[Cell, RunResult]:
        results: dict[Cell, RunResult] = {}
        if cells:
            self._report(what, 0, len(cells))
            for cell, run in self._simulate(cells, frame, self._execution):
                results[cell] = without_drawings(run)
                self._report(what, len(results), len(cells))
                if self._execution.is_stopped():
                    raise _Stopped
        if len(results) < len(cells):
            raise _Stopped
        return results

    def _result(self, number: int) -> CandidateResult:
        """Return the result of a candidate over its runs so far."""
        known = self._results.get(number)
        if known is None or len(known.runs) < len(self._runs[number]):
            runs = tuple(self._runs[number])
            known = candidate_result(self._cases[number], runs)
            self._results[number] = known
        return known

    def _shared(self, number: int) -> CandidateResult:
        """Return the result of a candidate over the runs that all candidates have."""
        runs = tuple(self._runs[number][:FIRST_LOOK])
        if len(runs) == len(self._runs[number]):
            return self._result(number)
        return candidate_result(self._cases[number], runs)

    def _drop_failing(self, number: int) -> bool:
        """Drop a candidate whose verdict is that it fails; return whether it was dropped."""
        verdict = self._result(number).verdict
        if verdict.answer == "fails":
            self._out[number] = ("fails", "; ".join(verdict.reasons))
        return verdict.answer == "fails"

    def _is_enough(self, verdict: Verdict) -> bool:
        """Return whether a verdict makes a plan: all holds, but for what was accepted as missed anyway."""
        return verdict.answer in ("meets", "misses_anyway") and self._accepted.issuperset(
            verdict.missed_anyway()
        )

    def _drop_missing(self, number: int, verdict: Verdict) -> bool:
        """Drop a candidate that misses an objective without a rollout too; return whether it was dropped."""
        if verdict.answer == "misses_anyway":
            self._out[number] = ("misses anyway", "; ".join(verdict.reasons))
        return verdict.answer == "misses_anyway"

    def _next_candidate(self) -> int | None:
        """Return the candidate to decide next: the fastest; of those equally fast, the safest."""
        durations = {number: self._mean(number, "rollout_duration_s") for number in self._in_play()}
        if not durations:
            return None
        fastest_s = min(durations.values())
        equally_fast = [
            number
            for number, duration_s in durations.items()
            if duration_s <= (1 + AS_FAST) * fastest_s
        ]
        return min(
            equally_fast, key=lambda number: (self._failed_fraction(number), self._p99_s(number))
        )

    def _mean(self, number: int, name: str) -> float:
        """Return the mean over the runs that all candidates have; infinite where no run has the figure."""
        values = [run.metrics[name] for run in self._runs[number][:FIRST_LOOK]]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else math.inf

    def _p99_s(self, number: int) -> float:
        p99_s = self._mean(number, "rollout_latency_p99_s")
        return p99_s if math.isfinite(p99_s) else 0.0  # no request came, so none waited

    def _failed_fraction(self, number: int) -> float:
        verdict = self._result(number).verdict
        return 1 - verdict.runs_meeting / verdict.runs

    def _decide(self, number: int) -> bool:
        """Add runs until a candidate is decided or the budget ends; return whether it meets."""
        while True:
            verdict = self._result(number).verdict
            if self._is_enough(verdict):
                return True
            if self._drop_failing(number) or self._drop_missing(number, verdict):
                return False
            until = next_look(verdict.runs_meeting, verdict.runs, *self._asked, self._most)
            more = min(until - verdict.runs, self._budget)
            if more <= 0:
                reason = (
                    "; ".join(verdict.reasons)
                    if until == verdict.runs
                    else f"so far {verdict.runs_meeting} of {verdict.runs} runs meet, and the search has "
                    "no run left"
                )
                self._out[number] = ("undecided", reason)
                return False
            self._budget -= more
            self._simulate_until([number], verdict.runs + more)

    def _confirm(self, number: int) -> bool:
        """Simulate a candidate on a fresh seed, as its plan embeds it; return whether that confirms it."""
        screened = self._result(number).verdict
        made = len(self._confirmations) + 1
        if made > MOST_CONFIRMATIONS:
            reason = f"{screened.runs_meeting} of {screened.runs} runs meet, but no confirmation was left"
            self._out[number] = ("undecided", reason)
            return False
        embedded = self_contained(self._cases[number].scenario)
        embedded = confirmed_scenario(embedded, screened, made, self._most)

        def simulate(case: Case) -> list[RunResult]:
            cells = [Cell(case, replication) for replication in range(embedded.replications or 0)]
            frame = frame_of_cases([case])
            results = self._simulate_cells(cells, frame, "confirming on a fresh seed")
            return [results[cell] for cell in cells]

        confirmed = confirm(number, embedded, made, simulate, self._is_enough)
        self._confirmations.append(confirmed)
        verdict = confirmed.result.verdict
        if not confirmed.held and not self._drop_missing(number, verdict):
            self._out[number] = (
                "not confirmed",
                f"{verdict.runs_meeting} of {verdict.runs} runs on a fresh seed meet every objective: "
                f"{'; '.join(verdict.reasons)}",
            )
        return confirmed.held

    def _behind(self, number: int, chosen: int) -> tuple[Outcome, str]:
        """Return the outcome of a candidate that is not the chosen one, from the runs that both have."""
        count = min(len(self._runs[number]), len(self._runs[chosen]))
        durations, chosen_durations = (
            [run.metrics["rollout_duration_s"] for run in self._runs[index][:count]]
            for index in (number, chosen)
        )
        difference = slower_by(durations, chosen_durations)
        if difference is not None:
            return "slower", _slower_text(difference)
        failed = self._result(number).verdict
        if failed.runs_meeting < failed.runs:
            return "as fast", "; ".join(failed.reasons[:1])
        p99_s, chosen_p99_s = (self._p99_s(index) for index in (number, chosen))
        if p99_s == chosen_p99_s:
            return "as fast", f"its p99 is the same, {p99_s:.4g} s"
        return "as fast", f"its p99 is {p99_s:.4g} s and the chosen's {chosen_p99_s:.4g} s"

    def _compare_starts(self, chosen: int) -> tuple[int | None, str]:
        """Return the chosen candidate at its busiest start, and whether the start matters, in words.

        The busiest start is simulated even where closed forms call it hopeless.
        """
        skipped = ("frozen", "no traffic")
        siblings = siblings_of([case.candidate for case in self._cases], chosen)
        tried = [number for number in siblings if self._outcome(number) not in skipped]
        if len(siblings) == 1:
            return None, ""
        lasts_s = self._mean(chosen, "rollout_duration_s")
        busiest = tried[busiest_of([self._cases[number].scenario for number in tried], lasts_s)]
        if busiest != chosen:
            if self._outcome(busiest) == "hopeless":
                del self._out[busiest]
            self._simulate_until([busiest], FIRST_LOOK)
            self._drop_failing(busiest)
        results = [self._shared(number) if self._runs[number] else None for number in tried]
        failing = [self._outcome(number) in ("fails", "hopeless") for number in tried]
        return busiest, describe_effect_of_start(results, failing, len(siblings) - len(tried))

    def _make_result(self, chosen: int | None, busiest: int | None, starts: str) -> SearchResult:
        if chosen is not None:
            self._out[chosen] = ("chosen", "the fastest that is confirmed")
        shared = {number: self._shared(number) for number, runs in enumerate(self._runs) if runs}
        front = front_of(list(shared.values()))
        return SearchResult(
            scenario=self._scenario,
            looked=tuple(
                CandidateOutcome(
                    case,
                    *self._out[number],
                    self._result(number) if number in shared else None,
                    shared.get(number),
                )
                for number, case in enumerate(self._cases)
            ),
            confirmations=tuple(self._confirmations),
            chosen=chosen,
            front=tuple(list(shared)[index] for index in front),
            runs_count=sum(map(len, self._runs)),
            busiest=busiest,
            starts=starts,
            accepted=self._accepted,
        )


def _slower_text(difference: Difference) -> str:
    """Return by how much a candidate is slower: ``slower by 12 s (11 to 13)``."""
    between = "" if difference.low is None else f" ({difference.low:.3g} to {difference.high:.3g})"
    return f"slower by {difference.mean:.3g} s{between}"


def without_drawings(run: RunResult) -> RunResult:
    """Return a run without its series and states: only charts need them, and a search makes thousands of runs."""
    return replace(run, series={}, states=StateIntervals.of(()), table=None)
