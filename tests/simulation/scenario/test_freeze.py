"""Times of day at which no rollout may run."""

from __future__ import annotations

import pytest

from simulation.scenario.freeze import find_freeze
from simulation.study.verdict import verdict
from tests.helpers.scenarios import run_once, scenario

NIGHT = [["22:00", "02:00"]]
MORNING = [["08:00", "10:00"]]


@pytest.mark.parametrize(
    ("freeze", "start", "lasts_s", "met"),
    [
        (MORNING, "07:59", 30, None),
        (MORNING, "07:59", 60, None),  # it ends when the freeze begins
        (MORNING, "07:59", 61, "08:00–10:00"),
        (MORNING, "08:00", 0, "08:00–10:00"),
        (MORNING, "09:59", 1, "08:00–10:00"),
        (MORNING, "10:00", 3600, None),
        (MORNING, "10:00", 86400, "08:00–10:00"),
        (NIGHT, "23:30", 1, "22:00–02:00"),
        (NIGHT, "01:59", 1, "22:00–02:00"),
        (NIGHT, "02:00", 60, None),
        ([*MORNING, *NIGHT], "21:59", 61, "22:00–02:00"),
        ([], "09:00", 60, None),
    ],
)
def test_a_rollout_meets_a_freeze(
    freeze: list[list[str]], start: str, lasts_s: float, met: str | None
) -> None:
    one = scenario(rollout={"freeze": freeze}, clock={"start": start})
    assert find_freeze(one, lasts_s) == met


def test_a_run_in_a_freeze_does_not_meet_the_objectives() -> None:
    one = scenario(
        rate="5/s",
        steps={"deploy": "20s"},
        rollout={"freeze": MORNING},
        clock={"start": "07:59:30"},
        objectives={"in_runs": "99%", "confidence": "50%"},
    )
    found = verdict(one, [run_once(one, keep_requests=False)])
    assert found.answer == "fails"
    assert found.reasons[0] == "runs in the freeze 08:00–10:00 in 1 of 1 runs"
