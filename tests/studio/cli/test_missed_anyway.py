"""Plans in a fleet that misses an objective without a rollout too: refused, unless that is accepted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from executor.base.errors import Refused
from executor.plan.file import read_plan
from executor.plan.rules import broken_rules
from simulation.planning.evidence import plan_of
from simulation.planning.make_plan import make_plan
from simulation.planning.search import search
from simulation.planning.search_result import SearchResult
from simulation.results.judged import Figures, Stretch
from simulation.results.run_result import METRICS, Ending, RunResult
from simulation.results.states import StateIntervals
from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.study.candidate_result import candidate_result
from simulation.study.case import cases_of
from simulation.study.cells import Cell
from simulation.study.execution import Execution
from simulation.study.statistics.proportions import FIRST_LOOK
from studio.cli.answers.plan_answer import write_search_result
from tests.helpers.scenarios import scenario

SCENARIO = scenario(
    rate="10/s",
    instances=6,
    steps={"deploy": "5s"},
    clock={"start": "16:00"},
    rollout={"window": 1},
    objectives={"latency_p99": "4s", "error_fraction": "1%", "judge": "rollout"},
)


@dataclass
class Fleet:
    """A fleet whose runs have these figures; window 4 loses requests besides.

    Attributes:
        control_p99_s: p99 without a rollout, on the seed of the search.
        confirming_p99_s: The same on fresh seeds.
        failed: Number of 1,000 requests that fail, with a rollout and without.
    """

    control_p99_s: float = 4.6
    confirming_p99_s: float = 4.6
    failed: int = 0

    def __call__(
        self, cells: Sequence[Cell], frame: SimulatedInterval, execution: Execution
    ) -> Iterator[tuple[Cell, RunResult]]:
        for cell in cells:
            case = cell.case
            is_search = case.scenario.seed == SCENARIO.seed
            p99_s = self.control_p99_s if is_search else self.confirming_p99_s
            failed = 200 if case.candidate.window == 4 else self.failed
            duration_s = 60.0 / case.candidate.window
            metrics: dict[str, float | None] = dict.fromkeys(METRICS, 0.0)
            metrics |= {"rollout_duration_s": duration_s, "lowest_in_pool_count": 5.0}
            stretch = Stretch(
                0.0,
                duration_s,
                {"": Figures(1000, failed, p99_s + 0.1)},
                {"": Figures(1000, self.failed, p99_s)},
            )
            yield (
                cell,
                RunResult(
                    ended=Ending.DONE,
                    settled_s=duration_s,
                    end_s=duration_s,
                    requests={"arrived": 1000, "ok": 1000},
                    metrics=metrics,
                    alone=metrics,
                    bin_s=1.0,
                    series={},
                    states=StateIntervals.of(()),
                    stretches=(stretch,),
                ),
            )


def searched(fleet: Fleet, *accepted: str) -> SearchResult:
    found = search(SCENARIO, cases_of(SCENARIO, [1, 2, 4]), simulate=fleet, accepted=accepted)
    assert found is not None
    return found


def outcomes(found: SearchResult) -> dict[int, str]:
    return {one.candidate.window: one.outcome for one in found.looked}


WHY = "p99 4 s does not hold at 16:00 even without a rollout: 4.6 s"


def test_no_plan_is_made_in_a_fleet_that_misses_an_objective_anyway(tmp_path: Path) -> None:
    found = searched(Fleet())
    assert (found.chosen, found.confirmations) == (None, ())
    assert outcomes(found) == {1: "misses anyway", 2: "misses anyway", 4: "fails"}
    assert found.looked[0].reason == WHY
    with pytest.raises(Refused) as refusal:
        write_search_result(found, tmp_path / "plan.json", 3600.0)
    assert refusal.value.exit_code == 3
    assert f"misses anyway: {WHY}" in str(refusal.value)
    assert "--accept-missing latency_p99 plans it all the same" in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_what_is_accepted_becomes_a_plan_that_says_so(tmp_path: Path) -> None:
    found = searched(Fleet(), "latency_p99")
    assert outcomes(found) == {1: "slower", 2: "chosen", 4: "fails"}
    sentences = write_search_result(found, tmp_path / "plan.json", 3600.0)
    assert sentences[0].startswith(
        "Window 2, 30 seconds, breaks no objective in at least 95 % of runs"
    )
    assert sentences[1] == f"Accepted as missed anyway, latency_p99: {WHY}."
    plan = read_plan(tmp_path / "plan.json")
    assert (plan.window, plan.accepted_missing) == (2, ("latency_p99",))
    assert plan.prediction.verdict.answer == "misses_anyway"
    assert plan.prediction.verdict.missed_anyway() == ("latency_p99",)
    assert list(broken_rules(plan)) == []
    unaccepted = plan.model_copy(update={"accepted_missing": ()})
    assert "it must be in accepted_missing" in " ".join(broken_rules(unaccepted))


def test_each_objective_that_is_missed_must_be_accepted() -> None:
    fleet = Fleet(failed=20)
    for one in ("latency_p99", "error_fraction"):
        assert set(outcomes(searched(fleet, one)).values()) == {"misses anyway", "fails"}
    found = searched(fleet, "latency_p99", "error_fraction")
    assert plan_of(found).accepted_missing == ("error_fraction", "latency_p99")


def test_what_is_accepted_and_holds_does_not_stand_in_the_plan() -> None:
    plan = plan_of(searched(Fleet(control_p99_s=3.0, confirming_p99_s=3.0), "latency_p99"))
    assert (plan.prediction.verdict.answer, plan.accepted_missing) == ("meets", ())


def test_what_only_the_confirmation_misses_anyway_is_not_confirmed_either() -> None:
    found = searched(Fleet(control_p99_s=3.0, confirming_p99_s=4.6))
    assert (found.chosen, [one.held for one in found.confirmations]) == (None, [False, False])
    assert outcomes(found) == {1: "misses anyway", 2: "misses anyway", 4: "fails"}


def test_a_candidate_is_no_plan_until_what_it_misses_is_accepted() -> None:
    [case] = cases_of(SCENARIO, [2])
    cells = [Cell(case, number) for number in range(60)]
    runs = tuple(
        run for _, run in Fleet()(cells, SimulatedInterval(0.0, 60.0, False, 1.0), Execution())
    )
    assert len(runs) > FIRST_LOOK
    result = candidate_result(case, runs)
    with pytest.raises(Refused, match="window 2 is no plan, its verdict is misses anyway: p99 4 s"):
        make_plan(case.scenario, result)
    plan = make_plan(case.scenario, result, accepted=("latency_p99",))
    assert plan.accepted_missing == ("latency_p99",)
