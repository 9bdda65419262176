"""The planner's search: what it drops, where it spends runs, and what it confirms.

Most tests use a made-up world: each candidate has a duration, a p99 and a share of runs in which it
meets the objectives, so that the right result of the search is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.base.errors import BadInput
from executor.plan.rules import broken_rules
from simulation.planning.evidence import (
    MOST_LISTED,
    candidate_evidence,
    evidence_of,
    listed_candidates,
    plan_of,
)
from simulation.planning.make_plan import resimulate, self_contained
from simulation.planning.search import search
from simulation.planning.search_result import SearchResult
from simulation.planning.search_runs import (
    ConfirmationReason,
    ConfirmationRuns,
    last_confirmation_runs,
)
from simulation.results.run_result import METRICS, Ending, RunResult
from simulation.results.states import StateIntervals
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.study.candidates import Candidate
from simulation.study.case import Case, cases_of
from simulation.study.cells import Cell
from simulation.study.confirmation import MOST_CONFIRMATIONS
from simulation.study.execution import Execution
from simulation.study.statistics.proportions import FIRST_LOOK, fresh_seed
from tests.helpers.scenarios import scenario

LIMIT_S = 1.0


def world(instances: int = 8, **parts: Any) -> Scenario:
    told = {"rate": "10/s", "rollout": {"window": 1}, "objectives": {"latency_p99": "1s"}, **parts}
    return scenario(instances=instances, steps={"deploy": "5s"}, **told)


@dataclass
class Way:
    """The true figures of a way to roll."""

    duration_s: float
    p99_s: float = 0.5
    meets_fraction: float = 1.0
    confirms_fraction: float | None = None


@dataclass
class World:
    """A simulation that draws from known distributions and counts the runs that were asked for."""

    seed: int
    ways: dict[tuple[int, str], Way]
    runs: Counter[tuple[int, int]] = field(default_factory=Counter)

    def way(self, one: Candidate) -> Way:
        return self.ways.get((one.window, one.start_label), self.ways.get((one.window, ""), Way(1)))

    def __call__(
        self, cells: Sequence[Cell], frame: SimulatedInterval, execution: Execution
    ) -> Iterator[tuple[Cell, RunResult]]:
        for cell in reversed(cells):  # in any order
            candidate, seed = cell.case.candidate, cell.case.scenario.seed
            way = self.way(candidate)
            self.runs[seed, candidate.window] += 1
            fraction = way.meets_fraction
            if seed != self.seed and way.confirms_fraction is not None:
                fraction = way.confirms_fraction
            rng = np.random.default_rng([seed, candidate.window, cell.replication])
            p99_s = way.p99_s if rng.random() < fraction else 2 * LIMIT_S
            noise = 0.01 * np.random.default_rng([seed, cell.replication]).standard_normal()
            metrics: dict[str, float | None] = dict.fromkeys(METRICS, 0.0)
            metrics["rollout_duration_s"] = way.duration_s * (1 + noise)
            metrics["rollout_latency_p99_s"] = p99_s
            metrics["lowest_in_pool_count"] = 7.0
            yield (
                cell,
                RunResult(
                    ended=Ending.DONE,
                    settled_s=way.duration_s,
                    end_s=way.duration_s,
                    requests={"arrived": 1, "ok": 1},
                    metrics=metrics,
                    alone=metrics,
                    bin_s=1.0,
                    series={"offered_rps": np.ones(5)},
                    states=StateIntervals.of(()),
                ),
            )


def searched(
    ways: dict[int, Way], seed: int = 1, **parts: Any
) -> tuple[SearchResult, World, tuple[Case, ...]]:
    one = world(seed=seed, **parts)
    cases = cases_of(one, sorted(ways))
    there = World(seed, {(window, ""): way for window, way in ways.items()})
    found = search(one, cases, simulate=there)
    assert found is not None
    return found, there, cases


def outcomes(found: SearchResult) -> dict[int, str]:
    return {one.candidate.window: one.outcome for one in found.looked}


def test_the_fastest_that_meets_is_confirmed_and_the_rest_is_dropped_in_words() -> None:
    found, there, _ = searched(
        {1: Way(100), 2: Way(60), 3: Way(40), 4: Way(30, meets_fraction=0.2)}
    )
    assert outcomes(found) == {1: "slower", 2: "slower", 3: "chosen", 4: "fails"}
    reasons = [one.reason for one in found.looked]
    assert reasons[0].startswith("slower by 60 s (5")
    assert reasons[1].startswith("slower by 20 s (")
    assert reasons[2] == "the fastest that is confirmed"
    assert reasons[3].startswith("p99 above 1 s in ")
    # runs are spent where they decide: ten each, and 59 on the one that is to be confirmed
    assert [there.runs[1, window] for window in (1, 2, 3, 4)] == [10, 10, 59, 10]
    assert found.runs_count == 89
    [confirmed] = found.confirmations
    assert there.runs[confirmed.scenario.seed, 3] == confirmed.scenario.replications
    assert confirmed.scenario.seed == fresh_seed(1, 1)
    assert confirmed.held
    assert confirmed.confidence == pytest.approx(0.955)


def test_what_is_not_confirmed_gives_way_to_the_next() -> None:
    found, there, _ = searched({1: Way(100), 2: Way(60, confirms_fraction=0.9)})
    assert outcomes(found) == {1: "chosen", 2: "not confirmed"}
    assert [one.held for one in found.confirmations] == [False, True]
    assert [one.scenario.seed for one in found.confirmations] == [fresh_seed(1, k) for k in (1, 2)]
    assert found.confirmations[1].confidence == pytest.approx(1 - 0.0045)
    assert there.runs[fresh_seed(1, 2), 1] >= 106  # log 0.0045 / log 0.95
    assert " runs on a fresh seed meet every objective: p99 above 1 s in " in found.looked[1].reason


def test_none_that_meets_is_said_with_every_reason() -> None:
    found, _, _ = searched({1: Way(100, meets_fraction=0.0), 2: Way(60, meets_fraction=0.93)})
    assert found.chosen is None
    assert outcomes(found)[1] == "fails"
    assert outcomes(found)[2] in ("fails", "undecided")
    assert all(one.reason for one in found.looked)


def test_a_search_gives_up_after_so_many_confirmations() -> None:
    ways = {window: Way(100 - 10 * window, confirms_fraction=0.5) for window in range(1, 9)}
    found, _, _ = searched(ways)
    assert found.chosen is None
    assert len(found.confirmations) == MOST_CONFIRMATIONS
    assert Counter(outcomes(found).values()) == {"not confirmed": 5, "undecided": 3}
    assert "no confirmation was left" in found.looked[0].reason


def test_of_those_as_fast_the_safest_is_taken() -> None:
    found, _, _ = searched({1: Way(41, p99_s=0.3), 2: Way(40, p99_s=0.6), 3: Way(60, p99_s=0.1)})
    assert outcomes(found) == {1: "chosen", 2: "as fast", 3: "slower"}
    assert found.looked[1].reason == "its p99 is 0.6 s and the chosen's 0.3 s"
    assert found.next_best() == 1
    assert [found.looked[number].candidate.window for number in found.front] == [2, 1, 3]


def test_what_is_known_is_not_simulated_again() -> None:
    one = world()
    cases = cases_of(one, [1, 2])
    there = World(1, {(1, ""): Way(100), (2, ""): Way(60)})
    cells = [Cell(case, k) for case in cases for k in range(60)]
    known: dict[Candidate, list[RunResult]] = {case.candidate: [] for case in cases}
    for cell, run in there(cells[::-1], SimulatedInterval(0, 1, False, 1), Execution()):
        known[cell.case.candidate].append(run)
    there.runs.clear()
    found = search(one, cases, simulate=there, known=known)
    assert found is not None
    assert found.chosen == 1
    assert {seed for seed, _ in there.runs} == {fresh_seed(1, 1)}


def test_a_search_can_be_stopped() -> None:
    one = world()
    asked = 0

    def stopped() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    there = World(1, {})
    execution = Execution(is_stopped=stopped)
    assert search(one, cases_of(one, [1, 2]), execution, simulate=there) is None
    assert there.runs.total() == 2  # it is asked before each candidate and after each run


def test_the_budget_of_runs_is_kept() -> None:
    """A candidate that can never be decided gets five times the minimum number of runs."""
    found, there, _ = searched({1: Way(10, meets_fraction=0.955)}, seed=3)
    assert found.looked[0].outcome == "undecided"
    assert there.runs[3, 1] == 5 * 59
    assert "neither shows nor refutes 95 %" in found.looked[0].reason


def test_where_the_budget_ends_only_the_runs_so_far_are_told() -> None:
    """A new study is proposed after a whole one only: see `statistics.new_study`."""
    unsure = {window: Way(10 + 10 * window, meets_fraction=0.955) for window in range(1, 20)}
    found, _, _ = searched({**unsure, 20: Way(500)}, seed=3, instances=40)
    assert found.runs_count == 20 * FIRST_LOOK + 10 * 5 * 59
    assert outcomes(found)[20] == "undecided"
    assert found.looked[-1].reason == "so far 10 of 10 runs meet, and the search has no run left"


def test_the_number_of_runs_of_a_confirmation_has_its_reason() -> None:
    def reason_of(way: Way, **parts: Any) -> ConfirmationRuns | None:
        one = world(**parts)
        there = World(one.seed, {(1, ""): way})
        found = search(one, cases_of(one, [1]), Execution(jobs=1), simulate=there)
        assert found is not None
        return last_confirmation_runs(found)

    reason = ConfirmationReason
    assert reason_of(Way(10)) == ConfirmationRuns(127, 2, reason.ENOUGH, 59, 59)
    assert reason_of(Way(10), replications=400) == ConfirmationRuns(400, 12, reason.ASKED, 59, 59)
    rough = reason_of(Way(10, meets_fraction=0.975, confirms_fraction=1.0))
    assert rough is not None
    assert rough.reason is reason.MOST
    assert rough.count <= 5 * 59
    assert reason_of(Way(10, meets_fraction=0.0)) is None


@given(
    st.lists(
        st.tuples(st.floats(10, 100), st.floats(0.1, 0.9), st.sampled_from([0.0, 0.5, 0.9, 1.0])),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 50),
)
@settings(max_examples=40, deadline=None)
def test_whatever_the_world_is_each_candidate_has_an_outcome_and_the_chosen_one_held(
    ways: list[tuple[float, float, float]], seed: int
) -> None:
    told = {window: Way(*way) for window, way in enumerate(ways, start=1)}
    found, there, _ = searched(told, seed=seed, objectives={"latency_p99": "1s", "in_runs": "80%"})
    assert all(one.reason for one in found.looked)
    assert [one.outcome for one in found.looked].count("chosen") == (found.chosen is not None)
    assert all(not one.held for one in found.confirmations[:-1])
    assert len({one.scenario.seed for one in found.confirmations} | {seed}) == (
        len(found.confirmations) + 1
    )
    assert found.runs_count == sum(count for (at, _), count in there.runs.items() if at == seed)
    if found.chosen is not None:
        last = found.confirmations[-1]
        assert last.held
        assert last.number == found.chosen
        assert last.lower_bound >= 0.8
        slower = [one for one in found.looked if one.outcome == "slower"]
        fastest_s = min((told[one.candidate.window].duration_s for one in slower), default=1e9)
        assert told[found.looked[found.chosen].candidate.window].duration_s <= 1.1 * fastest_s


NIGHT_AND_DAY = {"steps": [["0h", "10/s"], ["6h", "60/s"], ["18h", "10/s"]]}


def test_frozen_starts_get_no_run() -> None:
    one = world(rate=NIGHT_AND_DAY, rollout={"window": 1, "freeze": [["06:00", "18:00"]]})
    starts = [f"{hour:02d}:00" for hour in (3, 6, 12, 20)]
    there = World(1, {(1, ""): Way(40)})
    found = search(one, cases_of(one, [1], starts=starts), simulate=there)
    assert found is not None
    assert [one.outcome for one in found.looked][1:3] == ["frozen", "frozen"]
    assert found.looked[1].reason == "starts in the freeze 06:00–18:00"
    assert found.looked[1].result is None
    assert there.runs[1, 1] == FIRST_LOOK + 59
    assert found.starts == (
        "The start hardly matters: none of 2 tried, 2 left out clearly fails, durations differ by a "
        "factor of 1.00, p99 by 1.00."
    )


def test_the_same_way_at_the_busiest_start_is_always_shown() -> None:
    one = world(rate=NIGHT_AND_DAY)
    starts = [f"{hour:02d}:00" for hour in (3, 12, 20)]
    there = World(
        1,
        {
            (2, "03:00:00"): Way(40, p99_s=0.3),
            (2, "12:00:00"): Way(40, meets_fraction=0.0),
            (2, "20:00:00"): Way(40, p99_s=0.4),
        },
    )
    found = search(one, cases_of(one, [2], starts=starts), simulate=there)
    assert found is not None
    assert [one.outcome for one in found.looked] == ["chosen", "fails", "as fast"]
    assert found.busiest == 1
    assert found.starts == (
        "The start matters: of 3 starts tried, this way to roll clearly fails at 1."
    )


def test_a_start_beside_a_gap_of_the_trace_is_left_out(tmp_path: Any) -> None:
    hours = [
        f"2024-05-01T{hour:02d}:{minute:02d}:00,600" for hour in range(6) for minute in range(60)
    ]
    path = tmp_path / "trace.csv"
    path.write_text("time,requests\n" + "\n".join(hours[:120] + hours[150:]) + "\n")
    one = world(rate={"trace": str(path)})
    starts = ["2024-05-01 00:30", "2024-05-01 01:55", "2024-05-01 02:10", "2024-05-01 05:58"]
    there = World(1, {(1, ""): Way(40)})
    found = search(one, cases_of(one, [1], starts=starts), simulate=there)
    assert found is not None
    assert [one.outcome for one in found.looked] == ["chosen", *["no traffic"] * 3]
    assert found.looked[1].reason == "the trace has a gap or its end 300 s after the start"
    assert found.looked[2].reason == "the trace has a gap or its end at the start"
    alone = search(one, cases_of(one, [1], starts=starts[1:2]), simulate=there)
    assert alone is not None  # the only start is tried: nobody asked for another
    assert alone.chosen == 0


def test_of_many_candidates_those_are_told_that_tell_something() -> None:
    one = world(rate=NIGHT_AND_DAY)
    starts = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(0, 1440, 30)]
    there = World(1, {(1, ""): Way(90), (2, ""): Way(60), (3, ""): Way(30, meets_fraction=0)})
    cases = cases_of(one, [1, 2, 3], starts=starts)
    found = search(one, cases, simulate=there)
    assert found is not None
    told = listed_candidates(found)
    assert len(told) == MOST_LISTED
    assert told[0] == found.chosen
    assert found.busiest in told
    assert {cases[number].candidate.window for number in told} == {1, 2, 3}
    evidence = evidence_of(found)
    assert evidence.counts == {"slower": 48, "fails": 48, "as fast": 47, "chosen": 1}
    assert len(evidence.considered) == MOST_LISTED


REAL: dict[str, Any] = {
    "rate": {"steps": [["0h", "30/s"], ["6h", "155/s"], ["18h", "30/s"]]},
    "instances": 4,
    "slots": 2,
    "service_time": {"mean": "50ms", "cv": 1},
    "steps": {"deploy": "2s"},
    "rollout": {"window": 1, "drain": {"timeout": "5s"}},
    "objectives": {"latency_p99": "500ms", "in_runs": "70%"},
    "replications": 10,
}


def test_a_real_search_ends_in_a_plan_that_gives_its_prediction_again() -> None:
    one = scenario(**REAL)
    cases = cases_of(one, [1, 2], starts=["02:00", "12:00"])
    found = search(one, cases, execution=Execution(jobs=1))
    assert found is not None
    assert found.chosen is not None
    assert found.looked[found.chosen].case == cases[1]
    assert found.busiest == 3
    assert candidate_evidence(found, 3).outcome == "fails"
    plan = plan_of(found)
    assert broken_rules(plan) == []
    assert plan.seed == fresh_seed(1, 1)
    assert plan.evidence == evidence_of(found)
    assert resimulate(plan, Execution(jobs=1)) == []
    assert plan.prediction.verdict.runs == plan.replications


def test_a_plan_in_a_freeze_of_its_trace_is_judged_by_the_time_of_day(tmp_path: Any) -> None:
    """The embedded scenario has no dates, but its times of day are kept."""
    path = tmp_path / "trace.csv"
    rows = [f"2024-05-01T{18 + k // 60:02d}:{k % 60:02d}:00,600" for k in range(300)]
    path.write_text("time,requests\n" + "\n".join(rows) + "\n")
    freeze = [["00:00", "06:00"]]
    one = world(rate={"trace": str(path)}, rollout={"window": 1, "freeze": freeze})
    [case] = cases_of(one, starts=["2024-05-01 18:30"])
    embedded = self_contained(case.scenario)
    assert embedded.start_s() == 18.5 * 3600
    found = search(one, [case], simulate=World(1, {(1, ""): Way(40)}))
    assert found is not None
    assert found.chosen == 0


def test_the_only_start_may_meet_the_end_of_a_trace_and_says_so(tmp_path: Any) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("time,requests\n0,10\n1,10\n2,10\n")
    one = world(rate={"trace": str(path)})
    with pytest.raises(BadInput, match="meets the end of the trace"):
        search(one, cases_of(one, [1]), execution=Execution(jobs=1))
