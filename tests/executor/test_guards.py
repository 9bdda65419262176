"""Whether a rollout leaves its forecast, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from executor.guards import Counted, crossed, not_watched
from executor.plan import Gate
from tests.helpers.plans import example_plan, forecast

GUARD = {"error_fraction": 0.05, "over_s": 10.0}
BAKE = Gate(kind="bake", pause_s=60.0, error_fraction=0.02)


def counts(*rows: tuple[float, int, int, int]) -> list[Counted]:
    return [Counted(*row) for row in rows]


CASES = [
    pytest.param({}, counts((0, 0, 0, 0)), None, False, None, id="nothing counted"),
    pytest.param(
        {"guards": GUARD}, counts((0, 0, 0, 0), (20, 50, 2, 0)), None, False, None, id="below"
    ),
    pytest.param(
        {"guards": GUARD},
        counts((0, 0, 0, 0), (10, 100, 0, 0), (20, 150, 3, 0)),
        None,
        False,
        "guard over 10 s: errors 6.000%, limit 5.00%",
        id="above, over the last seconds only",
    ),
    pytest.param(
        {"guards": GUARD},
        counts((0, 0, 0, 0), (10, 100, 50, 0), (20, 150, 50, 0)),
        None,
        False,
        None,
        id="errors that are long ago",
    ),
    pytest.param(
        forecast(rollout_error_fraction=0.01),
        counts((0, 0, 0, 0), (9, 1000, 22, 0)),
        None,
        False,
        None,
        id="more than the forecast, by chance: 10 + 3 sqrt 10 + 3 is 22.49",
    ),
    pytest.param(
        forecast(rollout_error_fraction=0.01),
        counts((0, 0, 0, 0), (9, 1000, 23, 0)),
        None,
        False,
        "the rollout leaves its forecast: errors 2.300%, forecast 1.000%",
        id="more than the forecast, by no chance",
    ),
    pytest.param(
        forecast(error_fraction=0.0),
        counts((0, 0, 0, 0), (9, 99, 90, 0)),
        None,
        False,
        None,
        id="too few requests to say",
    ),
    pytest.param(
        forecast(queue_max=4.0),
        counts((0, 0, 0, 0), (1, 9, 0, 19), (2, 19, 0, 30)),
        None,
        False,
        "the rollout leaves its forecast: queue 19 requests, forecast 4",
        id="a queue that lasts",
    ),
    pytest.param(
        forecast(queue_max=4.0),
        counts((0, 0, 0, 0), (1, 9, 0, 18), (2, 19, 0, 30)),
        None,
        False,
        None,
        id="a queue that is twice the forecast and ten",
    ),
    pytest.param(
        {}, [Counted(5, 200, 3, 0, 99, 3)], BAKE, False, None, id="a bake with too few answers"
    ),
    pytest.param(
        {},
        [Counted(5, 200, 3, 0, 99, 3)],
        BAKE,
        True,
        "canary: errors 3.030%, limit 2.00%",
        id="the same at its end",
    ),
    pytest.param(
        {},
        [Counted(5, 200, 3, 0, 100, 3)],
        BAKE,
        False,
        "canary: errors 3.000%, limit 2.00%",
        id="a bake cut short",
    ),
]


@pytest.mark.parametrize(("changes", "counted", "bake", "is_over", "said"), CASES)
def test_which_limit_is_crossed(
    changes: dict[str, Any],
    counted: list[Counted],
    bake: Gate | None,
    is_over: bool,
    said: str | None,
) -> None:
    assert crossed(example_plan(**changes), counted, counted[-1], bake, is_over) == said


def test_what_decides_is_the_present_count_and_a_queue_that_lasts_a_poll() -> None:
    """Between two polls there may be many looks, microseconds apart."""
    kept = counts((0, 0, 0, 0), (10, 100, 0, 0))
    now = Counted(10.1, 150, 50, 99, 100, 50)
    assert crossed(example_plan(**forecast(queue_max=4.0)), kept, now, None, False) is None
    assert crossed(example_plan(), kept, now, BAKE, False) == "canary: errors 50.000%, limit 2.00%"
    guarded = crossed(example_plan(guards=GUARD), kept, now, None, False)
    assert guarded == "guard over 10 s: errors 33.333%, limit 5.00%"


def test_a_limit_that_cannot_be_watched_is_told() -> None:
    assert not_watched(example_plan(guards=GUARD)) == []
    (said,) = not_watched(example_plan(guards={"latency_p99_s": 0.5, "over_s": 10.0}))
    assert "p99" in said
    assert "not watched" in said
