"""Whether a rollout leaves its forecast, as a table."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.guards import (
    LimitReading,
    RequestCounts,
    find_crossed_limit,
    limit_readings,
    unwatched_guards,
)
from executor.plan.model import Gate
from tests.helpers.plans import example_plan, forecast

GUARD = {"error_fraction": 0.05, "over_s": 10.0}
BAKE = Gate(kind="bake", pause_s=60.0, error_fraction=0.02)


def counts(*rows: tuple[float, int, int, int]) -> list[RequestCounts]:
    return [RequestCounts(*row) for row in rows]


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
        {"guards": GUARD},
        counts((0, 0, 0, 0), (9, 100, 5, 0)),
        None,
        False,
        None,
        id="exactly the limit of a guard",
    ),
    pytest.param(
        {"guards": GUARD},
        counts((0, 0, 0, 0), (9, 1, 1, 0)),
        None,
        False,
        "guard over 10 s: errors 100.000%, limit 5.00%",
        id="a guard counts from the first request",
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
        forecast(error_fraction=0.0),
        counts((0, 0, 0, 0), (9, 100, 4, 0)),
        None,
        False,
        "the rollout leaves its forecast: errors 4.000%, forecast 0.000%",
        id="just enough requests to say",
    ),
    pytest.param(
        forecast(error_fraction=0.0),
        counts((0, 0, 0, 0), (9, 100, 3, 0)),
        None,
        False,
        None,
        id="exactly as many errors as may be by chance",
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
        {},
        [RequestCounts(5, 200, 3, 0, 99, 3)],
        BAKE,
        False,
        None,
        id="a bake with too few answers",
    ),
    pytest.param(
        {},
        [RequestCounts(5, 200, 3, 0, 99, 3)],
        BAKE,
        True,
        "canary: errors 3.030%, limit 2.00%",
        id="the same at its end",
    ),
    pytest.param(
        {},
        [RequestCounts(5, 200, 3, 0, 100, 3)],
        BAKE,
        False,
        "canary: errors 3.000%, limit 2.00%",
        id="a bake cut short",
    ),
    pytest.param(
        {},
        [RequestCounts(5, 200, 2, 0, 100, 2)],
        BAKE,
        False,
        None,
        id="exactly the limit of a bake",
    ),
    pytest.param(
        {},
        [RequestCounts(5, 200, 2, 0, 100, 2)],
        BAKE,
        True,
        None,
        id="exactly the limit at its end",
    ),
]


@pytest.mark.parametrize(("changes", "counted", "bake", "is_over", "said"), CASES)
def test_which_limit_is_crossed(
    changes: dict[str, Any],
    counted: list[RequestCounts],
    bake: Gate | None,
    is_over: bool,
    said: str | None,
) -> None:
    assert find_crossed_limit(example_plan(**changes), counted, counted[-1], bake, is_over) == said


def test_what_decides_is_the_present_count_and_a_queue_that_lasts_a_poll() -> None:
    """Between two polls there may be many looks, microseconds apart."""
    kept = counts((0, 0, 0, 0), (10, 100, 0, 0))
    now = RequestCounts(10.1, 150, 50, 99, 100, 50)
    assert (
        find_crossed_limit(example_plan(**forecast(queue_max=4.0)), kept, now, None, False) is None
    )
    assert (
        find_crossed_limit(example_plan(), kept, now, BAKE, False)
        == "canary: errors 50.000%, limit 2.00%"
    )
    guarded = find_crossed_limit(example_plan(guards=GUARD), kept, now, None, False)
    assert guarded == "guard over 10 s: errors 33.333%, limit 5.00%"


def test_a_limit_that_cannot_be_watched_is_told() -> None:
    assert unwatched_guards(example_plan(guards=GUARD)) == []
    (said,) = unwatched_guards(example_plan(guards={"latency_p99_s": 0.5, "over_s": 10.0}))
    assert "p99" in said
    assert "not watched" in said


def test_what_is_watched_is_told_with_its_limit() -> None:
    high = forecast(rollout_error_fraction=0.01, queue_max=4.0)
    plan = example_plan(guards=GUARD, **high)
    told = limit_readings(plan, counts((0, 0, 0, 0), (10, 400, 40, 9), (20, 1000, 46, 7)))
    lately, whole, queue = told
    assert lately == LimitReading("errors over 10 s", 0.01, 0.05, True)
    assert (whole.what, whole.value, whole.is_fraction) == ("errors so far", 0.046, True)
    assert whole.limit == pytest.approx((10 + 3 * 10**0.5 + 3) / 1000)
    assert queue == LimitReading("queue", 7.0, 18.0, False)


def test_before_enough_is_counted_there_are_limits_and_no_values() -> None:
    plan = example_plan(guards=GUARD, **forecast(error_fraction=0.0, queue_max=0.0))
    limits = [(one.value, one.limit) for one in limit_readings(plan, [])]
    assert limits == [(None, 0.05), (None, 3 / 100), (None, 10.0)]
    few = limit_readings(plan, counts((0, 0, 0, 0), (1, 99, 9, 0)))
    assert [one.value for one in few] == [9 / 99, None, 0.0]
    enough = limit_readings(plan, counts((0, 0, 0, 0), (1, 100, 9, 0)))
    assert [one.value for one in enough] == [9 / 100, 9 / 100, 0.0]
    assert limit_readings(example_plan(), []) == []


@given(
    st.lists(
        st.tuples(st.integers(0, 500), st.integers(0, 50), st.integers(0, 40)),
        min_size=2,
        max_size=12,
    )
)
def test_a_value_above_its_limit_is_what_halts(steps: list[tuple[int, int, int]]) -> None:
    """Both tell the same, but for the queue, which must be too long twice in a row."""
    plan = example_plan(guards=GUARD, **forecast(rollout_error_fraction=0.02, queue_max=4.0))
    rows, requests, failed = [RequestCounts(0.0, 0, 0, 0)], 0, 0
    for second, (more, wrong, queued) in enumerate(steps, start=1):
        requests, failed = requests + more, failed + min(more, wrong)
        rows.append(RequestCounts(float(second), requests, failed, queued))
    over = {one.what for one in limit_readings(plan, rows) if one.value and one.value > one.limit}
    if "queue" in over and rows[-2].queued_count <= 18:
        over.discard("queue")
    assert bool(over) == (find_crossed_limit(plan, rows, rows[-1], None, False) is not None)
