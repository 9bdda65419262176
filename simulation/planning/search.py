"""The planner's search: the fastest candidate that meets the objectives, confirmed.

Enters: a scenario and its candidates, a finite grid. Leaves: a `SearchResult`, with what became of each
candidate in words, and the confirmation that a plan stands on.

It spends runs where they decide something. What cannot be is left out without a run: a start in a
freeze or beside a gap of the trace, and what the closed forms call hopeless. The rest get ten paired
runs each, after which those that clearly fail are dropped. Then the fastest gets more until it is
decided, then the next. Looking costs nothing: it only chooses what is confirmed. Whoever looks good
is simulated once more on a fresh seed, with a number of runs that is fixed before; only that counts,
and those confirmations share the error probability (`statistics.confirmation_confidence`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from executor.base.errors import BadInput
from executor.plan.model import Outcome
from simulation.estimates.estimate import estimate
from simulation.planning.make_plan import self_contained
from simulation.planning.search_result import CandidateOutcome, Confirmed, SearchResult
from simulation.planning.starts import busiest_of, siblings_of, what_the_start_matters
from simulation.results.run_result import RunResult
from simulation.run import traffic_around
from simulation.scenario.freeze import find_freeze
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.study.candidates import Candidate
from simulation.study.case import Case, cases_of, frame_of_cases
from simulation.study.cells import Cell, run_cells
from simulation.study.compare import CandidateResult, candidate_result, front_of
from simulation.study.execution import DEFAULT_EXECUTION, Execution
from simulation.study.statistics import (
    FIRST_LOOK,
    clopper_pearson,
    confirmation_confidence,
    confirmation_runs,
    fewest_runs,
    fresh_seed,
    next_look,
    paired_difference,
)

AS_FAST = 0.05
"""Candidates whose mean durations differ by no more are as fast: then failures and p99 decide."""

MOST_CONFIRMATIONS = 5
"""After so many that did not hold, the search gives up."""

Simulate = Callable[
    [Sequence[Cell], SimulatedInterval, Execution], Iterator[tuple[Cell, RunResult]]
]
"""Simulates cells, as `simulation.study.cells.run_cells` does."""

ProgressCallback = Callable[[str, int, int], None]
"""Is called with what is being done, how many runs of it are done, and of how many."""


class _Stopped(Exception):
    """Whoever asked does not wait any more."""


def search(
    scenario: Scenario,
    cases: Sequence[Case],
    execution: Execution = DEFAULT_EXECUTION,
    *,
    simulate: Simulate = run_cells,
    known: Mapping[Candidate, Sequence[RunResult]] | None = None,
    on_progress: ProgressCallback = lambda what, done, total: None,
) -> SearchResult | None:
    """The fastest candidate that meets the objectives, and why not the others; None when stopped.

    Args:
        scenario: What is rolled; `replications` is how many runs a confirmation has at least, and
            five times it (or of what the objectives need) how many the search spends on one
            candidate at most; on all that must be looked at closely together, ten times that.
        cases: A finite grid, see `cases_of`.
        execution: Where and how to simulate; it is asked after each run whether to stop.
        simulate: What simulates cells.
        known: Runs of candidates that there are already, on the scenario's own seed, by replication
            from 0 on.
        on_progress: Called with what is being done, how many runs of it are done, and of how many.

    Raises:
        BadInput: The only start meets a gap or the end of a trace.
    """
    try:
        return _Search(scenario, cases, execution, simulate, on_progress).run(known or {})
    except _Stopped:
        return None


class _Search:
    """A search under way: the runs of each candidate so far, and what became of those that are out."""

    def __init__(
        self,
        scenario: Scenario,
        cases: Sequence[Case],
        execution: Execution,
        simulate: Simulate,
        on_progress: ProgressCallback,
    ) -> None:
        self._scenario = scenario
        self._cases = tuple(cases)
        self._execution, self._simulate, self._report = execution, simulate, on_progress
        self._runs: list[list[RunResult]] = [[] for _ in cases]
        self._results: dict[int, CandidateResult] = {}
        self._out: dict[int, tuple[Outcome, str]] = {}
        self._confirmations: list[Confirmed] = []
        objectives = scenario.objectives
        self._asked = (objectives.in_runs, objectives.confidence)
        self._most = 5 * max(scenario.replications, fewest_runs(*self._asked))
        self._budget = 10 * self._most
        self._frame = frame_of_cases(cases)
        # How long a run may take at most is each one's own: a slow one asks for more of a trace.
        self._frames = [
            replace(self._frame, horizon_s=frame_of_cases([case]).horizon_s) for case in cases
        ]

    def run(self, known: Mapping[Candidate, Sequence[RunResult]]) -> SearchResult:
        """Looks, decides, confirms."""
        for number, case in enumerate(self._cases):
            self._runs[number] = [_light(run) for run in known.get(case.candidate, ())]
        self._leave_out()
        self._look(self._in_play(), FIRST_LOOK)
        for number in self._in_play():
            self._drop_if_it_fails(number)
        chosen = None
        while chosen is None and (best := self._best()) is not None:
            if self._looks_good(best) and self._confirm(best):
                chosen = best
        if chosen is None:
            return self._found(None, None, "")
        busiest, starts = self._over_its_starts(chosen)
        for number in self._in_play():
            if number != chosen:
                self._out[number] = ("slower", self._behind(number, chosen))
        return self._found(chosen, busiest, starts)

    def _in_play(self) -> list[int]:
        return [number for number in range(len(self._cases)) if number not in self._out]

    def _outcome(self, number: int) -> Outcome | None:
        return self._out[number][0] if number in self._out else None

    def _leave_out(self) -> None:
        """Those that no run is spent on."""
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
        """When the traffic ends that a run may need at most, on the rollout's clock."""
        try:
            return traffic_around(scenario, self._frame).data_ends_s()
        except BadInput:  # the start lies outside the trace
            return -math.inf

    def _look(self, numbers: Sequence[int], until: int) -> None:
        """Simulates candidates until each has so many runs, the same replications for all."""
        cells: dict[SimulatedInterval, list[Cell]] = {}
        for replication in range(until):
            for number in numbers:
                if replication >= len(self._runs[number]):
                    cell = Cell(self._cases[number], replication)
                    cells.setdefault(self._frames[number], []).append(cell)
        landed: dict[Cell, RunResult] = {}
        for frame, group in cells.items():
            landed |= self._landed(group, frame, "looking")
        for number in numbers:
            runs = self._runs[number]
            case = self._cases[number]
            runs += [landed[Cell(case, k)] for k in range(len(runs), until)]

    def _landed(
        self, cells: Sequence[Cell], frame: SimulatedInterval, what: str
    ) -> dict[Cell, RunResult]:
        found: dict[Cell, RunResult] = {}
        if cells:
            self._report(what, 0, len(cells))
            for cell, run in self._simulate(cells, frame, self._execution):
                found[cell] = _light(run)
                self._report(what, len(found), len(cells))
                if self._execution.is_stopped():
                    raise _Stopped
        if len(found) < len(cells):
            raise _Stopped
        return found

    def _result(self, number: int) -> CandidateResult:
        """What the runs of a candidate so far say."""
        known = self._results.get(number)
        if known is None or len(known.runs) < len(self._runs[number]):
            runs = tuple(self._runs[number])
            known = candidate_result(self._cases[number], runs)
            self._results[number] = known
        return known

    def _shared(self, number: int) -> CandidateResult:
        """The same over the runs that all candidates have."""
        runs = tuple(self._runs[number][:FIRST_LOOK])
        if len(runs) == len(self._runs[number]):
            return self._result(number)
        return candidate_result(self._cases[number], runs)

    def _drop_if_it_fails(self, number: int) -> bool:
        verdict = self._result(number).verdict
        if verdict.answer == "fails":
            self._out[number] = ("fails", "; ".join(verdict.reasons))
        return verdict.answer == "fails"

    def _best(self) -> int | None:
        """The next to look at closely: the fastest; of those as fast, the safest."""
        durations = {number: self._mean(number, "rollout_duration_s") for number in self._in_play()}
        if not durations:
            return None
        fastest_s = min(durations.values())
        as_fast = [
            number
            for number, duration_s in durations.items()
            if duration_s <= (1 + AS_FAST) * fastest_s
        ]
        return min(as_fast, key=lambda number: (self._failed_fraction(number), self._p99_s(number)))

    def _mean(self, number: int, name: str) -> float:
        """The mean over the runs that all candidates have; infinite where the figure is in none."""
        values = [run.metrics[name] for run in self._runs[number][:FIRST_LOOK]]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else math.inf

    def _p99_s(self, number: int) -> float:
        found = self._mean(number, "rollout_latency_p99_s")
        return found if math.isfinite(found) else 0.0  # nobody came, so nobody waited

    def _failed_fraction(self, number: int) -> float:
        verdict = self._result(number).verdict
        return 1 - verdict.runs_meeting / verdict.runs

    def _looks_good(self, number: int) -> bool:
        """Adds runs until the candidate is decided, or its budget ends; says whether it meets."""
        while True:
            verdict = self._result(number).verdict
            if verdict.answer == "meets":
                return True
            if self._drop_if_it_fails(number):
                return False
            until = next_look(verdict.runs_meeting, verdict.runs, *self._asked, self._most)
            more = min(until - verdict.runs, self._budget)
            if more <= 0:
                self._out[number] = ("undecided", "; ".join(verdict.reasons))
                return False
            self._budget -= more
            self._look([number], verdict.runs + more)

    def _confirm(self, number: int) -> bool:
        """Simulates a candidate on a fresh seed, as its plan embeds it; says whether it holds."""
        seen = self._result(number).verdict
        made = len(self._confirmations) + 1
        if made > MOST_CONFIRMATIONS:
            said = f"{seen.runs_meeting} of {seen.runs} runs meet, but no confirmation was left"
            self._out[number] = ("undecided", said)
            return False
        share = self._asked[0]
        confidence = confirmation_confidence(self._asked[1], made)
        planned = confirmation_runs(
            seen.runs_meeting, seen.runs, share, confidence, most=self._most
        )
        changed = {
            "seed": fresh_seed(self._scenario.seed, made),
            "replications": max(self._scenario.replications, planned),
        }
        embedded = self_contained(self._cases[number].scenario)
        embedded = embedded.model_copy(update=changed)
        [case] = cases_of(embedded)
        cells = [Cell(case, replication) for replication in range(embedded.replications)]
        landed = self._landed(cells, frame_of_cases([case]), "confirming on a fresh seed")
        result = candidate_result(case, tuple(landed[cell] for cell in cells))
        verdict = result.verdict
        lower, _upper = clopper_pearson(verdict.runs_meeting, verdict.runs, confidence)
        held = lower >= share
        self._confirmations.append(Confirmed(number, embedded, result, confidence, lower, held))
        if not held:
            self._out[number] = (
                "not confirmed",
                f"{verdict.runs_meeting} of {verdict.runs} runs on a fresh seed meet every objective: "
                f"{'; '.join(verdict.reasons)}",
            )
        return held

    def _behind(self, number: int, chosen: int) -> str:
        """In what a candidate is behind the chosen one, over the runs that both have."""
        count = min(len(self._runs[number]), len(self._runs[chosen]))
        durations, chosens = (
            [run.metrics["rollout_duration_s"] for run in self._runs[one][:count]]
            for one in (number, chosen)
        )
        difference = paired_difference(durations, chosens)
        mean, low, high = difference.mean, difference.low, difference.high
        if mean is not None and low is not None and high is not None:
            slower = mean > AS_FAST * self._mean(chosen, "rollout_duration_s")
            if slower and low > 0:
                return f"slower by {mean:.3g} s ({low:.3g} to {high:.3g})"
        failed = self._result(number).verdict
        if failed.runs_meeting < failed.runs:
            return f"as fast, but {'; '.join(failed.reasons[:1])}"
        p99s = [self._p99_s(one) for one in (number, chosen)]
        return f"as fast, its p99 is {p99s[0]:.4g} s and the chosen's {p99s[1]:.4g} s"

    def _over_its_starts(self, chosen: int) -> tuple[int | None, str]:
        """The chosen way at its other starts: at the busiest one simulated in any case."""
        skipped = ("frozen", "no traffic")
        siblings = siblings_of([case.candidate for case in self._cases], chosen)
        tried = [number for number in siblings if self._outcome(number) not in skipped]
        if len(siblings) == 1:
            return None, ""
        lasts_s = self._mean(chosen, "rollout_duration_s")
        starts_s = [self._cases[number].scenario.start_s() for number in tried]
        busiest = tried[busiest_of(self._scenario, starts_s, lasts_s)]
        if busiest != chosen:
            if self._outcome(busiest) == "hopeless":
                del self._out[busiest]
            self._look([busiest], FIRST_LOOK)
            self._drop_if_it_fails(busiest)
        results = [self._shared(number) if self._runs[number] else None for number in tried]
        failing = [self._outcome(number) in ("fails", "hopeless") for number in tried]
        return busiest, what_the_start_matters(results, failing, len(siblings) - len(tried))

    def _found(self, chosen: int | None, busiest: int | None, starts: str) -> SearchResult:
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
        )


def _light(run: RunResult) -> RunResult:
    """A run without what is only drawn: a search makes thousands."""
    return replace(run, series={}, states=(), table=None)
