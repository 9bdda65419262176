"""From rows to figures: known answers on runs made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.results.run_result import METRICS
from studio.lab.load import Sent
from studio.lab.measure import LoadSample, flags_of, to_run_result
from studio.lab.watch import Sample
from tests.helpers.scenarios import scenario

TWO = scenario(instances=["a", "b"], slots=2, service_time="100ms", rate="10/s", rollout={})
"""20 requests a second each."""


def sent(number: int, arrival_s: float, **said: Any) -> Sent:
    """A request that was answered well after 100 ms, unless it is said otherwise."""
    usual = {
        "finish_s": arrival_s + 0.1,
        "outcome": "ok",
        "instance": "a",
        "version": "old",
        "begun_s": arrival_s + 0.001,
        "ended_s": arrival_s + 0.1,
    }
    return Sent(number, arrival_s, arrival_s, **{**usual, **said})


def step(instance: str, name: str, begin_s: float, end_s: float) -> dict[str, Any]:
    return {
        "instance": instance,
        "step": name,
        "version": "new",
        "begin_s": begin_s,
        "end_s": end_s,
        "outcome": "done",
        "said": "",
    }


TIMELINE = {
    "ended": "done",
    "reason": "",
    "instances": ["a", "b"],
    "window": 1,
    "steps": [
        step("a", "take_out", 1.0, 2.0),
        step("a", "start", 2.0, 3.0),
        step("a", "return", 3.0, 3.5),
        step("b", "take_out", 4.0, 4.5),
        step("b", "start", 4.5, 5.0),
        step("b", "return", 5.0, 6.0),
    ],
    "states": [
        {"instance": "a", "state": "serving", "begin_s": 0.0, "end_s": 1.0},
        {"instance": "a", "state": "starting", "begin_s": 1.0, "end_s": 3.5},
        {"instance": "a", "state": "serving", "begin_s": 3.5, "end_s": 6.0},
        {"instance": "b", "state": "serving", "begin_s": 0.0, "end_s": 4.0},
        {"instance": "b", "state": "starting", "begin_s": 4.0, "end_s": 6.0},
        {"instance": "b", "state": "serving", "begin_s": 6.0, "end_s": 6.01},
    ],
}
"""On the executor's clock, whose 0 is a second before the first step."""


def seen(rows: list[Sent], **changes: Any) -> LoadSample:
    """The rollout's 0 is at 101 on the machine's clock, the schedule's at 100."""
    usual: dict[str, Any] = {
        "sent": rows,
        "zero_s": 100.0,
        "classes": [0] * 100,
        "samples": [
            Sample(99.0, ("a", "b"), 0),
            Sample(101.5, ("b",), 3),
            Sample(104.5, ("a", "b"), 0),
            Sample(105.5, ("a",), 0),
            Sample(107.0, ("a", "b"), 0),
        ],
        "timeline": TIMELINE,
        "began_s": 100.0,
        "settled_s": 121.0,
        "cpu_fraction": 0.3,
    }
    return LoadSample(**{**usual, **changes})


def test_every_figure_of_a_run_made_by_hand() -> None:
    rows = [
        sent(0, 0.5),  # before the rollout: not counted
        sent(1, 2.0),
        sent(2, 3.0, begun_s=3.2, ended_s=3.3, finish_s=3.3),  # waited 200 ms
        sent(3, 3.1, begun_s=3.25, ended_s=3.35, finish_s=3.35),  # waited 150 ms beside it
        sent(4, 5.0, version="new"),
        sent(5, 5.5, outcome="cut", begun_s=None, ended_s=None),
        sent(6, 8.0, outcome="in_flight", finish_s=None, begun_s=None, ended_s=None),
        sent(7, 9.0, version="new"),
    ]
    run = to_run_result(TWO, seen(rows))
    assert run.ended == "done"
    assert run.requests == {
        "arrived": 7,
        "ok": 5,
        "rejected": 0,
        "timed_out": 0,
        "refused": 0,
        "cut": 1,
        "error": 0,
        "in_flight": 1,
    }
    assert run.metrics.keys() == set(METRICS)
    expected = {
        "rollout_duration_s": 5.0,
        "lowest_in_pool_count": 1.0,
        "lowest_capacity_fraction": 0.5,
        "failed_requests": 1.0,
        "cut_requests": 1.0,
        "error_fraction": 1 / 6,
        "rollout_error_fraction": 1 / 6,
        "queue_max": 2.0,
        "latency_mean_s": (3 * 0.1 + 0.3 + 0.25) / 5,
        "latency_p50_s": 0.1,
        "wait_fraction": 3 / 7,  # two that were served, and the one that waits still
        "exposure_requests": 1.0,  # what came after the last return is accepted
        "mixed_version_s": 1.0,  # both in the pool, one of each version: from 104.5 to 105.5
        "surge_instance_s": 0.0,
    }
    assert run.metrics["slow_requests"] is None
    for name, value in expected.items():
        assert run.metrics[name] == pytest.approx(value, rel=0.01), name
        assert run.alone[name] == run.metrics[name]
    # Six in slots for 100 ms each; two slots of a and b each are up but for 2.5 and 2 s.
    up_slot_s = 2 * (20.0 - 2.5) + 2 * (20.0 - 2.0)
    assert run.metrics["utilisation_fraction"] == pytest.approx(0.6 / up_slot_s, rel=0.02)


def test_what_happens_after_the_end_is_still_in_flight_then() -> None:
    run = to_run_result(TWO, seen([sent(0, 20.95), sent(1, 21.5)]))
    assert run.requests["arrived"] == 1
    assert run.requests["in_flight"] == 1


def test_a_rollout_that_halted_has_no_duration() -> None:
    run = to_run_result(TWO, seen([sent(0, 2.0)], timeline={**TIMELINE, "ended": "halted"}))
    assert run.ended == "halted"
    assert run.metrics["rollout_duration_s"] is None
    assert run.metrics["latency_p99_s"] == pytest.approx(0.1, rel=0.01)


@pytest.mark.parametrize(
    ("lag_s", "cpu_fraction", "flags"),
    [
        (0.009, 0.69, ()),
        (0.011, 0.69, ("the load's own lag has a p99 of 11.0 ms, above 10 ms",)),
        (0.009, 0.71, ("the processor was 71% busy, above 70%",)),
        (
            0.5,
            1.0,
            (
                "the load's own lag has a p99 of 500.0 ms, above 10 ms",
                "the processor was 100% busy, above 70%",
            ),
        ),
    ],
)
def test_what_speaks_against_a_run(
    lag_s: float, cpu_fraction: float, flags: tuple[str, ...]
) -> None:
    rows = [Sent(number, 1.0, 1.0 + lag_s) for number in range(50)]
    assert flags_of(seen(rows, cpu_fraction=cpu_fraction)) == flags
