"""Cases that are equal in effect share their runs, and only these do."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from simulation.scenario.model import Scenario
from simulation.study.case import Case, cases_of, frame_of_cases
from simulation.study.cells import Cell, run_cells
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from simulation.study.running.shared_runs import share_runs
from simulation.study.running.work import Part, Work
from simulation.study.store import Store, cell_key
from tests.helpers.results import assert_same
from tests.helpers.scenarios import small_shop

HALF_HOURS = [1800.0 * number for number in range(48)]
STEPS = {"steps": [["0h", "60/s"], ["9h", "50/s"]]}
FREEZE = {"window": 2, "freeze": [["08:00", "10:00"]]}


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """Return how many runs of each replication were made."""
    made: Counter[int] = Counter()
    make_run = Work._make_run

    def count(work: Work, index: int, replication: int) -> Any:
        made[replication] += 1
        return make_run(work, index, replication)

    monkeypatch.setattr(Work, "_make_run", count)
    return made


@pytest.mark.parametrize(
    ("parts", "varied", "places"),
    [
        pytest.param({}, {"windows": [1, 2]}, (0, 1), id="windows"),
        pytest.param({}, {"windows": [1, 2], "starts": HALF_HOURS[:2]}, (0, 1, 0, 1), id="starts"),
        pytest.param({"rollout": FREEZE}, {"starts": HALF_HOURS[:3]}, (0, 0, 0), id="freeze"),
        pytest.param({"rate": STEPS}, {"starts": HALF_HOURS[:2]}, (0, 1), id="starts on steps"),
        pytest.param(
            {"rate": STEPS}, {"starts": ["01:00", "01:00:00", 3600.0]}, (0, 0, 0), id="one second"
        ),
        pytest.param({}, {"drain_timeouts_s": [5.0, 6.0]}, (0, 1), id="drain timeouts"),
        pytest.param({}, {"advances": ["sliding", "batch"]}, (0, 1), id="advances"),
        pytest.param({}, {"pauses_s": [0.0, 1.0]}, (0, 1), id="pauses"),
        pytest.param(
            {"rollout": {"strategy": "recreate", "min_healthy": 0}},
            {"pauses_s": [0.0, 1.0], "drain_timeouts_s": [5.0, 6.0]},
            (0, 1, 0, 1),
            id="pauses that the strategy ignores",
        ),
    ],
)
def test_cases_that_are_equal_in_effect_share_a_run(
    parts: dict[str, Any], varied: dict[str, Any], places: tuple[int, ...]
) -> None:
    cases = cases_of(small_shop(**parts), **varied)
    shared = share_runs(cases)
    assert shared.places == places
    assert [shared.cases[place] for place in places] == [cases[places.index(k)] for k in places]


def two_services() -> Scenario:
    service = {"instances": 8, "slots": 4, "service_time": "5ms", "steps": {"deploy": "1s"}}
    return Scenario.model_validate(
        {
            "rollcast": "scenario/1",
            "name": "two",
            "traffic": {"rate": "50/s", "classes": {"all": {"route": ["a", "b"]}}},
            "services": {"a": service, "b": service},
            "rollout": {"order": {"a": [], "b": ["a"]}},
        }
    )


def test_a_percentage_is_the_window_that_it_means_in_each_fleet() -> None:
    cases = cases_of(two_services(), ["25%", 2, "50%"])
    assert [case.candidate.written for case in cases] == ["25%", 2, "50%"]
    assert share_runs(cases).places == (0, 0, 1)


def test_a_constant_rate_is_simulated_once_for_all_starts(simulated: Counter[int]) -> None:
    scenario = small_shop(replications=3)
    cases = cases_of(scenario, [1, 2, 3], starts=HALF_HOURS)
    rows = list(run_rows(scenario, cases, Execution(jobs=1)))
    assert simulated == {0: 3, 1: 3, 2: 3}  # not 144 each
    assert [len(row.runs) for row in rows] == [144] * 3
    alone = list(run_rows(scenario, cases_of(scenario, [1, 2, 3]), Execution(jobs=1)))
    for row, single in zip(rows, alone, strict=True):
        for index, run in enumerate(row.runs):
            assert_same(run, single.runs[index % 3])


def test_cells_share_runs_too(simulated: Counter[int], tmp_path: Path) -> None:
    cases = cases_of(small_shop(rollout=FREEZE), starts=HALF_HOURS)
    cells = [Cell(case, replication) for case in cases for replication in range(2)]
    frame = frame_of_cases(cases)
    results = dict(run_cells(cells, frame, Execution(jobs=1)))
    assert simulated == {0: 1, 1: 1}
    assert set(results) == set(cells)
    with Store(tmp_path / "cells.sqlite") as store:
        execution = Execution(jobs=1, store=store)
        first = dict(run_cells(cells[:2], frame, execution))
        simulated.clear()
        stored = dict(run_cells(cells, frame, execution))
    assert not simulated  # a start that was never simulated is stored as another one
    for cell in cells:
        assert_same(stored[cell], first[Cell(cells[0].case, cell.replication)])


@pytest.mark.parametrize(
    ("parts", "varied"),
    [
        pytest.param({}, {"starts": [0.0, "18:00"]}, id="starts"),
        pytest.param(
            {"rollout": {"strategy": "recreate", "min_healthy": 0}},
            {"pauses_s": [0.0, 7.0]},
            id="pauses that the strategy ignores",
        ),
        pytest.param(
            {"rate": {"steps": [["2h", "60/s"]]}}, {"starts": [7200.0, "18:00"]}, id="one step"
        ),
    ],
)
def test_cases_that_share_a_run_would_have_the_same_one(
    parts: dict[str, Any], varied: dict[str, Any]
) -> None:
    """Each is simulated by itself here, without sharing."""
    cases = cases_of(small_shop(**parts), **varied)
    frame = frame_of_cases(cases)
    assert cell_key(cases[0].scenario, frame) == cell_key(cases[1].scenario, frame)
    one, other = (alone(case, cases) for case in cases)
    assert_same(one, other)


def alone(case: Case, cases: tuple[Case, ...]) -> Any:
    return Work((case,), frame_of_cases(cases)).run(Part(0, (0,)))[0]
