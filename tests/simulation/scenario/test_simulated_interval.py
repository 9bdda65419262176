"""How long a run may last: the bound on a rollout whose every step takes as long as can be."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.scenario.simulated_interval import expected_run_s, frame_of
from tests.helpers.scenarios import scenario

STEPS = {"deploy": "5s", "start": "3s"}
ROLLOUT = {"window": 2, "drain": {"timeout": "30s", "on_timeout": "cut", "poll": "0.5s"}}

BOUNDS = [
    # the rollout's changes, the waves, the seconds that each takes
    pytest.param({}, 2, 30 + 1 + 30 + 8, id="drain, two polls, grace, steps"),
    pytest.param({"on_failure": "continue"}, 2, 69, id="a failure that lets it continue"),
    pytest.param(
        {"on_failure": "rollback"}, 4, 69, id="a failure that leads back: all of it twice"
    ),
    pytest.param({"on_failure": "rollback", "retries": 2}, 4, 61 + 3 * 8, id="every step thrice"),
    pytest.param({"window": 1, "on_failure": "rollback"}, 8, 69, id="one at a time, and back"),
    pytest.param({"window": 3, "on_failure": "rollback"}, 4, 69, id="a last wave that is not full"),
    pytest.param({"pause": "7s", "min_ready": "2s"}, 2, 69 + 9, id="pause and min_ready"),
]


@pytest.mark.parametrize(("changes", "waves", "each_s"), BOUNDS)
def test_the_horizon_is_three_times_the_slowest_rollout_and_ten_minutes(
    changes: dict[str, Any], waves: int, each_s: float
) -> None:
    rolled = scenario(steps=STEPS, rollout=ROLLOUT | changes)
    assert frame_of([rolled]).horizon_s == pytest.approx(3 * waves * each_s + 600)


@pytest.mark.parametrize("on_failure", ["halt", "continue", "rollback"])
def test_what_is_expected_is_a_rollout_that_does_not_go_back(on_failure: str) -> None:
    rolled = scenario(steps=STEPS, rollout=ROLLOUT | {"on_failure": on_failure})
    assert expected_run_s(rolled)[1] == pytest.approx(2 * (0.05 + 8) + 10)
