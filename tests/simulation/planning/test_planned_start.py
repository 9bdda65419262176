"""The plan of a start on a weekday: its days, its start with its zone, and its traffic."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from executor.base.errors import Refused
from executor.plan.model import PLAN_2, PlannedStart
from simulation.planning.evidence import plan_of
from simulation.planning.make_plan import resimulate, self_contained
from simulation.planning.planned_start import planned_start, planned_traffic
from simulation.planning.search import search
from simulation.requests.uncertainty import draw_uncertain
from simulation.results.run_result import EngineName
from simulation.run import traffic_around
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import frame_of
from simulation.study.case import cases_of
from simulation.study.compare import compare
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from tests.helpers.agree import difference
from tests.helpers.scenarios import scenario

HERE = Execution(jobs=1, engine=EngineName.REFERENCE)


def weeks(folder: Path, count: int, zone: str = "", **changes: Any) -> Scenario:
    """A scenario on a trace of weeks in rows of 37 s, each day at another rate."""
    path, first = folder / "weeks.csv", datetime(2024, 1, 1)
    rows = []
    for number in range(count * 7 * 86400 // 37 + 1):
        moment = first + timedelta(seconds=37 * number)
        day = (moment - first).days
        rows.append(f"{moment.isoformat()}{zone},{3 + day / 7 + moment.hour / 11}\n")
    path.write_text(f"time,rps\n{''.join(rows)}")
    return scenario(
        **{
            "rate": {"trace": str(path)},
            "clock": {"start": "tue 22:00"},
            "rollout": {"window": 1},
            "steps": {"deploy": "5s"},
            "replications": 20,
            "objectives": {"in_runs": "50%", "error_fraction": "50%"},
            **changes,
        }
    )


@pytest.mark.parametrize("count", [5, 3])
@pytest.mark.parametrize("start", ["tue 22:00", "tue 00:00"])
def test_the_embedded_days_give_the_same_rates_bit_for_bit(
    tmp_path: Path, count: int, start: str
) -> None:
    one = weeks(tmp_path, count, clock={"start": start}, traffic={"growth": "20%"})
    embedded = Scenario.model_validate(self_contained(one).as_data())
    assert self_contained(embedded) is embedded
    assert embedded.start_label() == one.start_label() == start.capitalize()
    frame = frame_of([one])
    for replication in range(12):
        before, after = (
            traffic_around(draw_uncertain(each, replication), frame) for each in (one, embedded)
        )
        assert before.as_steps() == after.as_steps()


def test_the_plan_of_a_weekday_is_simulated_again_with_the_same_prediction(tmp_path: Path) -> None:
    one = weeks(tmp_path, 5, zone="+00:00", traffic={"growth": "20%"})
    found = search(one, cases_of(one, [1, 2], starts=["tue 22:00", "wed 03:00"]), HERE)
    assert found is not None
    plan = plan_of(found)
    assert plan.schema_ == PLAN_2
    assert plan.start is not None
    assert plan.start.zone == "UTC"
    assert plan.start.at is not None
    assert plan.start.at > plan.created_at
    assert (plan.start.at.weekday(), f"{plan.start.at:%H:%M}") in [(1, "22:00"), (2, "03:00")]
    assert plan.traffic is not None
    assert plan.traffic.days_count == 5
    assert resimulate(plan, HERE) == []


def test_the_range_is_that_of_the_minutes_of_all_runs(tmp_path: Path) -> None:
    one = weeks(tmp_path, 5)
    found = planned_traffic(one, "app", 200, 1800.0)
    assert found is not None
    days = [3 + (1 + 7 * week) / 7 + 22 / 11 for week in range(5)]
    assert found.low_rps == pytest.approx(days[0] - 1 / 11, abs=1 / 11)
    assert found.high_rps == pytest.approx(days[4])
    assert found.highest_rps == pytest.approx(days[4])
    assert planned_traffic(weeks(tmp_path, 5, clock={"start": "2h"}), "app", 3, 60.0) is None


def test_the_start_of_the_coming_week(tmp_path: Path) -> None:
    paris = {"start": "sun 02:30", "zone": "Europe/Paris"}
    one = weeks(tmp_path, 5, clock=paris)
    now = datetime(2026, 10, 20, 12, tzinfo=UTC)
    twice = planned_start(one, now)
    assert twice == PlannedStart(
        weekday="sun",
        local_time="02:30",
        zone="Europe/Paris",
        at=datetime.fromisoformat("2026-10-25T02:30:00+02:00"),
        is_twice=True,
    )
    with pytest.raises(Refused, match="Sun 02:30: 2027-03-28 02:30 does not exist in Europe/Paris"):
        planned_start(one, datetime(2027, 3, 25, tzinfo=UTC))
    assert planned_start(weeks(tmp_path, 5, clock={"start": "2h"}), now) is None


def test_both_engines_draw_the_same_days(tmp_path: Path) -> None:
    one = weeks(tmp_path, 5, replications=4)
    for replication in range(4):
        assert difference(one, replication) is None


def test_a_study_says_the_weekday_and_how_many_days_are_known(tmp_path: Path) -> None:
    one = weeks(tmp_path, 3, replications=2)
    cases = cases_of(one, [1], starts=["tue 22:00", "wed 00:30"])
    comparison = compare(one, cases, list(run_rows(one, cases, replace(HERE))))
    labels = [result.candidate.start_label for result in comparison.candidates]
    assert labels == ["Tue 22:00", "Wed 00:30"]
    facts = [(note.kind, note.weekday, note.days_count) for note in comparison.notes()]
    assert ("mean_day", "tue", 3) in facts
    assert ("mean_day", "wed", 3) in facts
