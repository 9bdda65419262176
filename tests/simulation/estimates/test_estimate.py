"""Estimates against known answers, against the engine, and what must always hold of them."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulation.estimates.estimate import Estimate, Range, closed_forms
from simulation.estimates.in_flight import in_flight
from simulation.estimates.no_estimate import NoEstimate, Why
from studio.views.sentences import no_estimate_text
from tests.helpers.scenarios import of_services, runs_of, scenario
from tests.helpers.steady_wait import steady_wait

STEPS = {"stop": "1s", "deploy": "5s", "verify": "1s", "start": "3s"}
CALM: dict[str, Any] = {"rate": "40/s", "instances": 6, "slots": 2, "steps": STEPS}


def value(found: Range | None) -> float:
    assert found is not None
    return found.value


def ranges(found: Estimate) -> dict[str, Range]:
    named = {one.name: getattr(found, one.name) for one in fields(found)}
    return {name: one for name, one in named.items() if isinstance(one, Range)}


# Steps take 10 s, drains next to nothing: duration, fewest in the pool, lowest share of capacity
ROLLOUTS: dict[str, tuple[dict[str, Any], float, float, float]] = {
    "one by one": ({"window": 1}, 60, 5, 5 / 6),
    "two by two": ({"window": 2}, 30, 4, 4 / 6),
    "four, then two": ({"window": 4}, 20, 2, 2 / 6),
    "a quarter is one": ({"window": "25%"}, 60, 5, 5 / 6),
    "in batches with pauses": ({"window": 4, "advance": "batch", "pause": "7s"}, 27, 2, 2 / 6),
    "sliding with pauses": ({"window": 2, "pause": "5s"}, 40, 4, 4 / 6),
    "up for a while": ({"window": 2, "min_ready": "5s"}, 45, 4, 4 / 6),
    "no fewer than five": ({"window": 3, "min_healthy": 5}, 60, 5, 5 / 6),
    "no fewer than four in five": ({"window": 3, "min_healthy": "80%"}, 60, 5, 5 / 6),
    "the last first": ({"window": 2, "instance_order": "reverse"}, 30, 4, 4 / 6),
    "deadlines that nothing reaches": (
        {"window": 2, "healthy_deadline": "12s", "progress_deadline": "90s"},
        *(30, 4, 4 / 6),
    ),
    "a budget": ({"window": 2, "on_failure": "budget"}, 30, 4, 4 / 6),
    "stopped late": ({"window": 2, "pre_stop": "4s"}, 42, 4, 4 / 6),
    "all at once": ({"strategy": "recreate"}, 10, 0, 0.0),
    "a second fleet": ({"strategy": "blue_green", "pause": "6s", "min_ready": "3s"}, 19, 6, 1.0),
    "surge alone": ({"window": 1, "surge": 2, "min_healthy": 6}, 28, 6, 1.0),
    "window and surge": ({"window": 1, "surge": 1}, 28, 5, 5 / 6),
    "beside, without a surge": ({"window": 2, "replacement": "beside"}, 27, 4, 4 / 6),
    "a canary beside": (
        {
            "strategy": "canary",
            "window": 2,
            "replacement": "beside",
            "canary": [{"share": "20%", "bake": "30s"}],
        },
        *(66, 4, 4 / 6),
    ),
    "a canary with a surge": (
        {
            "strategy": "canary",
            "surge": 1,
            "min_healthy": 6,
            "canary": [{"share": "20%", "bake": "30s"}],
        },
        *(85, 6, 1.0),
    ),
    "canary": (
        {"strategy": "canary", "window": 2, "canary": [{"share": "20%", "bake": "30s"}]},
        *(70, 4, 4 / 6),
    ),
    "with a migration": (
        {
            "strategy": "expand_migrate_contract",
            "window": 3,
            "migration": {"expand": "5s", "migrate": "10s", "contract": "2s"},
        },
        *(37, 3, 3 / 6),
    ),
    "a surge between the steps of a migration": (
        {
            "strategy": "expand_migrate_contract",
            "surge": 2,
            "min_healthy": "100%",
            "migration": {"expand": "5s", "migrate": "10s", "contract": "2s"},
        },
        *(45, 6, 1.0),
    ),
    "a surge after a contract step that comes too early": (
        {
            "strategy": "expand_migrate_contract",
            "surge": 2,
            "min_healthy": 6,
            "migration": {"expand": "5s", "contract": "2s", "contract_before_rollout": True},
        },
        *(35, 6, 1.0),
    ),
}


@pytest.mark.parametrize("case", ROLLOUTS)
def test_rollouts_whose_steps_are_constant(case: str) -> None:
    rollout, duration_s, fewest, lowest_fraction = ROLLOUTS[case]
    one = scenario(**{**CALM, "rate": "0.01/s"}, rollout=rollout)
    found = closed_forms(one)
    assert value(found.rollout_duration_s) == pytest.approx(duration_s, abs=0.02)
    assert value(found.lowest_in_pool_count) == fewest
    assert value(found.lowest_capacity_fraction) == pytest.approx(lowest_fraction)
    run = runs_of(one, 1)[0]
    assert run.metrics["rollout_duration_s"] == pytest.approx(duration_s, abs=0.02)
    assert run.metrics["lowest_in_pool_count"] == fewest
    assert run.metrics["lowest_capacity_fraction"] == pytest.approx(lowest_fraction)


def test_a_batch_takes_as_long_as_its_longest() -> None:
    """Of w exponential steps the mean longest is m·(1 + 1/2 + … + 1/w)."""
    one = scenario(
        rate="0.01/s",
        instances=60,
        steps={"deploy": {"exponential": "10s"}},
        rollout={"window": 4, "advance": "batch"},
    )
    expected_s = 15 * 10 * (1 + 1 / 2 + 1 / 3 + 1 / 4)
    spread_s = math.sqrt(15 * 100 * (1 + 1 / 4 + 1 / 9 + 1 / 16))
    found = closed_forms(one).rollout_duration_s
    assert found is not None
    assert found.value == pytest.approx(expected_s, rel=0.03)
    assert found.high - found.low == pytest.approx(2 * 1.645 * spread_s, rel=0.2)


def test_what_a_drain_cuts() -> None:
    """λ·∫ₜ^∞ P(S > u) du: 60/s of exponential 50 ms, cut after 200 ms (model.md §11)."""
    parts: dict[str, Any] = {
        "rate": "240/s",
        "instances": 4,
        "slots": 60,
        "service_time": {"exponential": "50ms"},
    }
    found = in_flight(scenario(**parts), "app", 60.0)
    assert found.left_count(0.2) == pytest.approx(60 * 0.05 * math.exp(-4))
    assert found.left_count(0.2) == pytest.approx(0.05495, abs=5e-6)
    empties = float(found.idle_by(np.array([0.2]))[0])
    assert empties == pytest.approx(math.exp(-0.05495), abs=1e-4)
    one = scenario(**parts, steps={"deploy": "5s"}, rollout={"drain": {"timeout": "200ms"}})
    # The first leaves when all four share the traffic, the others when four do again.
    assert value(closed_forms(one).cut_requests) == pytest.approx(4 * 0.05495, rel=1e-3)


@pytest.mark.parametrize(
    ("rate_rps", "slots", "service_time", "variability"),
    [
        (16, 1, {"exponential": "50ms"}, 1.0),
        (60, 4, {"exponential": "50ms"}, 1.0),
        (12, 1, "50ms", 0.5),
        (12, 1, {"mean": "50ms", "cv": 1}, 1.0),
        (1080, 72, {"exponential": "50ms"}, 1.0),
    ],
)
def test_a_fleet_that_is_not_rolled_is_in_its_steady_state(
    rate_rps: float, slots: int, service_time: Any, variability: float
) -> None:
    one = scenario(rate=f"{rate_rps}/s", instances=1, slots=slots, service_time=service_time)
    found = closed_forms(one)
    steady = steady_wait(rate_rps, 0.05, slots, variability)
    assert value(found.rollout_wait_mean_s) == pytest.approx(steady.mean_s(), rel=0.01)
    assert value(found.utilisation_before_fraction) == pytest.approx(rate_rps * 0.05 / slots)
    assert found.rollout_duration_s is None


def test_the_response_of_a_single_server() -> None:
    """M/M/1, λ = 16, μ = 20: exponential with a mean of 0.25 s, so p99 is 1.1513 s."""
    one = scenario(rate="16/s", instances=1, slots=1, service_time={"exponential": "50ms"})
    assert value(closed_forms(one).rollout_latency_p99_s) == pytest.approx(1.1513, rel=0.02)


def test_who_asks_for_too_much_never_gets_it() -> None:
    """A retry asks for the same: what takes longer than its client waits fails every time."""
    patience = {"client_timeout": "1s", "retries": {"attempts": 3}}
    one = scenario(
        **{**CALM, "rate": "20/s", "service_time": {"mean": "100ms", "cv": 1.5}},
        classes={"all": patience},
        rollout={"window": 1},
    )
    found = value(closed_forms(one).rollout_error_fraction)
    assert found == pytest.approx(float(one.service.service_time.survival(np.array([1.0]))[0]))
    seen = [run.metrics["rollout_error_fraction"] or 0.0 for run in runs_of(one, 20)]
    assert found == pytest.approx(np.mean(seen), rel=0.35)  # some 40 requests


def test_an_overload_shows_in_the_backlog() -> None:
    """Four of 76 slots are out for 100 s: 144/s more than can be served (model.md §11)."""
    warm_up_s = 10.0
    one = scenario(
        rate="1584/s",
        instances=19,
        slots=4,
        steps={"deploy": "100s"},
        rollout={"window": 1},
        clock={"horizon": "100s", "warm_up": f"{warm_up_s}s"},
    )
    found = closed_forms(one)
    assert value(found.utilisation_highest_fraction) == pytest.approx(1.1, rel=1e-6)
    before = (1584 - 1520) * warm_up_s
    assert value(found.backlog_max_count) == pytest.approx(before + 14_400, rel=0.05)


def test_an_uncertain_load_has_a_range() -> None:
    one = scenario(rate="40/s", instances=1, slots=4, traffic={"uncertain": "10%"})
    load = closed_forms(one).utilisation_before_fraction
    assert load is not None
    assert (load.value, load.low, load.high) == pytest.approx((0.5, 0.5 / 1.1, 0.55))


# a part that has no closed form, the reason, what is None for it
BEYOND: dict[str, tuple[dict[str, Any], Why, str]] = {
    "closed": (
        {"traffic": {"arrivals": "closed", "clients": {"count": 9, "think_time": "1s"}}},
        *(Why.CLOSED_TRAFFIC, "rollout_latency_p99_s"),
    ),
    "a queue that rejects": ({"queue_limit": 5}, Why.QUEUE_REJECTS, "rollout_latency_p99_s"),
    "sticky": ({"balancer": {"sticky": True}}, Why.STICKY, "rollout_duration_s"),
    "balanced connections": (
        {"queue": "instance", "balancer": {"balance": "connection"}},
        *(Why.BALANCED_CONNECTIONS, "rollout_latency_p99_s"),
    ),
    "how long balanced connections drain": (
        {"queue": "instance", "balancer": {"balance": "connection"}},
        *(Why.BALANCED_CONNECTIONS, "rollout_duration_s"),
    ),
    "slow start": ({"balancer": {"slow_start": "9s"}}, Why.WEIGHTS, "rollout_wait_mean_s"),
    "lag": ({"propagation_delay": "3s"}, Why.LEARNS_LATE, "rollout_error_fraction"),
    "a late return": (
        {"balancer": {"return_delay": "3s"}},
        *(Why.RETURNS_LATE, "lowest_in_pool_count"),
    ),
    "cold by requests": (
        {"versions": {"new": {"cold": {"factor": 3, "requests": 150}}}},
        *(Why.COLD_BY_REQUESTS, "rollout_wait_mean_s"),
    ),
    "crashes": (
        {"service": {"crashes": {"mtbf": "1h", "repair": "60s"}}},
        *(Why.CRASHES, "rollout_duration_s"),
    ),
    "fails": ({"versions": {"new": {"start_fails": "10%"}}}, Why.MAY_FAIL, "rollout_duration_s"),
    "not healthy in time": (
        {"rollout": {"window": 2, "healthy_deadline": "5s"}},
        *(Why.DEADLINE_MAY_PASS, "rollout_duration_s"),
    ),
    "no progress in time": (
        {"rollout": {"window": 2, "progress_deadline": "15s"}},
        *(Why.DEADLINE_MAY_PASS, "rollout_duration_s"),
    ),
    "retries under overload": (
        {
            "rate": "210/s",
            "classes": {"all": {"client_timeout": "1s", "retries": {"attempts": 3}}},
        },
        *(Why.TIMEOUTS, "rollout_error_fraction"),
    ),
    "sessions by hash": (
        {"policy": "source_hash", "queue": "instance"},
        *(Why.SESSIONS, "rollout_latency_p99_s"),
    ),
    "two choices": (
        {"policy": "power_of_two", "queue": "instance"},
        *(Why.TWO_CHOICES, "rollout_wait_mean_s"),
    ),
    "slower for ever": (
        {"rate": "200/s", "versions": {"new": {"service_factor": 1.3}}},
        *(Why.NEVER_CLEARS, "rollout_latency_p99_s"),
    ),
    "retries that cannot succeed": (
        {
            "rate": "200/s",
            "service_time": {"exponential": "50ms"},
            "classes": {"all": {"client_timeout": "200ms", "retries": {"attempts": 3}}},
        },
        *(Why.RETRIED_WORK, "rollout_error_fraction"),
    ),
    "cuts behind queues": (
        {"rate": "200/s", "queue": "instance"},
        *(Why.QUEUED_AT_DRAINS, "cut_requests"),
    ),
    "drains behind queues": (
        {"rate": "230/s", "queue": "instance"},
        *(Why.QUEUED_AT_DRAINS, "rollout_duration_s"),
    ),
    "unequal speeds": (
        {"queue": "instance", "rate": "100/s", "versions": {"new": {"service_factor": 2.0}}},
        *(Why.UNEVEN_INSTANCES, "rollout_wait_mean_s"),
    ),
    "shared steps": (
        {"steps": {"deploy": "5s", "shared": {"deploy": "4s"}}},
        *(Why.SHARED_STEPS, "rollout_duration_s"),
    ),
    "correlated steps": (
        {"steps": {"deploy": {"mean": "5s", "cv": 0.5}, "correlation": 0.3}},
        *(Why.CORRELATED_STEPS, "rollout_duration_s"),
    ),
    "an uncertain rate": (
        {"traffic": {"uncertain": "10%"}},
        *(Why.UNCERTAIN_INPUTS, "rollout_latency_p99_s"),
    ),
    "uncertain service times": (
        {"service": {"uncertain": "10%"}},
        *(Why.UNCERTAIN_INPUTS, "rollout_error_fraction"),
    ),
    "uncertain steps": (
        {"steps": {"deploy": "5s", "uncertain": "10%"}},
        *(Why.UNCERTAIN_INPUTS, "rollout_duration_s"),
    ),
    "an empty pool": (
        {"rollout": {"strategy": "recreate"}},
        *(Why.POOL_EMPTY, "rollout_error_fraction"),
    ),
    "connections": (
        {"classes": {"ws": {"holds_slot": False, "share": "1%"}, "page": {}}},
        *(Why.CUT_CONNECTIONS, "rollout_error_fraction"),
    ),
    "handshakes": (
        {
            "classes": {
                "ws": {"holds_slot": False, "share": "1%", "reconnects": {"cost": "5ms"}},
                "page": {},
            }
        },
        *(Why.HANDSHAKES, "rollout_latency_p99_s"),
    ),
    "retries with new demands": (
        {
            "classes": {
                "all": {
                    "client_timeout": "500ms",
                    "retries": {"attempts": 3, "demand": "new"},
                }
            },
            "service_time": {"mean": "50ms", "cv": 4},
        },
        *(Why.NEW_DEMANDS, "rollout_error_fraction"),
    ),
}


@pytest.mark.parametrize("case", BEYOND)
def test_where_no_closed_form_holds_there_is_no_figure_and_a_reason(case: str) -> None:
    parts, why, missing = BEYOND[case]
    found = closed_forms(scenario(**{**CALM, "rollout": {"window": 2}, **parts}))
    assert any(one.why is why and missing in one.figures for one in found.beyond), found.beyond
    for one in found.beyond:
        for figure in one.figures:
            assert getattr(found, figure) is None, figure
            assert found.why_none(figure) is not None
        assert no_estimate_text(one).startswith("no estimate: ")
        assert "{" not in no_estimate_text(one)
    if found.why_none("lowest_in_pool_count") is None:
        assert value(found.lowest_in_pool_count) == (0 if case == "an empty pool" else 4)
    assert (found.lines is None) == (found.utilisation_highest_fraction is None)
    assert bool(found.phases) == (found.lines is not None)


def test_several_services_have_a_duration_and_no_waits() -> None:
    steps = {"deploy": "10s"}
    one = of_services(
        {"a": {"instances": 3, "steps": steps}, "b": {"instances": 2, "steps": steps}},
        {"all": {"route": ["a", "b"]}},
        rollout={"window": 1, "order": ["b", "a"]},
    )
    found = closed_forms(one)
    assert value(found.rollout_duration_s) == pytest.approx(50, abs=1)
    assert value(found.lowest_in_pool_count) == 4
    assert value(found.lowest_capacity_fraction) == pytest.approx(0.5)
    assert found.rollout_wait_mean_s is None
    assert found.beyond == (NoEstimate(Why.SEVERAL_SERVICES, services=("a", "b")),)
    assert no_estimate_text(found.beyond[0]) == (
        "no estimate: requests go through several services (a, b)"
    )


# objectives, rollout, rate, how the reason begins; none where it may be met
HOPELESS: dict[str, tuple[dict[str, Any], dict[str, Any], str, tuple[str, ...]]] = {
    "in time": ({"duration": "61s"}, {"window": 1}, "40/s", ()),
    "narrowly late": ({"duration": "58s"}, {"window": 1}, "40/s", ()),
    "late": ({"duration": "50s"}, {"window": 1}, "40/s", ("the rollout takes 60 s",)),
    "enough": ({"lowest_in_pool": 4}, {"window": 2}, "40/s", ()),
    "too few": ({"lowest_in_pool": 5}, {"window": 2}, "40/s", ("4 are left in the pool",)),
    "as many as there are": ({"most_instances": 6}, {"window": 2}, "40/s", ()),
    "a fleet above its quota": (
        {"most_instances": 5},
        {"window": 2},
        "40/s",
        ("the fleet has 6 instances, more than 5 at once",),
    ),
    "slow for long": ({"latency_p99": "1s"}, {"window": 3}, "200/s", ("more arrives than",)),
    "not for long": ({"latency_p99": "60s"}, {"window": 3}, "200/s", ()),
    "frozen": (
        {},
        {"window": 1, "freeze": [["23:00", "01:00"]]},
        "40/s",
        ("it runs in the freeze 23:00–01:00",),
    ),
}


@pytest.mark.parametrize("case", HOPELESS)
def test_what_is_hopeless(case: str) -> None:
    objectives, rollout, rate, reasons = HOPELESS[case]
    found = closed_forms(scenario(**{**CALM, "rate": rate}, rollout=rollout, objectives=objectives))
    assert len(found.hopeless) == len(reasons), found.hopeless
    for said, reason in zip(found.hopeless, reasons, strict=True):
        assert said.startswith(reason)


def test_lines_and_phases_tell_the_same() -> None:
    found = closed_forms(scenario(**CALM, rollout={"window": 2}))
    lines = found.lines
    assert lines is not None
    assert lines.time_s[0] < lines.time_s[-1] < 42  # 30 s, and ten to settle
    assert lines.offered_rps.tolist() == pytest.approx([40.0] * len(lines.time_s))
    assert lines.capacity_rps.min() == pytest.approx(160, rel=0.01)
    assert lines.capacity_rps[-1] == pytest.approx(240)
    names = [phase.name for phase in found.phases]
    assert names[0] == "before"
    assert {"all in", "2 out"} <= set(names)
    two = found.phases[names.index("2 out")]
    assert two.utilisation_fraction == pytest.approx(40 / 160, rel=0.01)
    assert two.in_pool_count == pytest.approx(4, abs=0.1)
    assert two.seconds_s == pytest.approx(30, abs=1)


def test_cold_and_slow_instances_serve_less() -> None:
    slow = {"new": {"service_factor": 1.5, "cold": {"factor": 3, "decay": "10s"}}}
    plain = closed_forms(scenario(**CALM, rollout={"window": 2}))
    cold = closed_forms(scenario(**CALM, versions=slow, rollout={"window": 2}))
    assert value(cold.utilisation_highest_fraction) > value(plain.utilisation_highest_fraction)
    assert value(cold.rollout_latency_p99_s) > value(plain.rollout_latency_p99_s)
    assert cold.lines is not None
    assert plain.lines is not None
    assert cold.lines.capacity_rps == pytest.approx(plain.lines.capacity_rps)


@pytest.mark.slow
@pytest.mark.parametrize(
    "parts",
    [
        {"policy": "least_connections"},
        {"policy": "least_connections", "queue": "instance"},
        {"policy": "random", "queue": "instance"},
        {"policy": "round_robin", "queue": "instance"},
        {"traffic": {"arrivals": "bursty", "dispersion": 4}},
    ],
    ids=["one queue", "fewest", "random", "in turn", "in bursts"],
)
def test_near_the_engine_at_four_fifths_of_the_capacity(parts: dict[str, Any]) -> None:
    """Not closer than the page says: p99 within a quarter, the duration within three percent."""
    one = scenario(
        rate="62/s",
        instances=8,
        slots=4,
        service_time={"mean": "400ms", "cv": 1},
        steps={"deploy": {"mean": "20s", "cv": 0.3}, "start": "5s"},
        rollout={"window": 1},
        **parts,
    )
    found = closed_forms(one)
    runs = runs_of(one, 12)

    def mean(name: str) -> float:
        return float(np.mean([run.metrics[name] or 0.0 for run in runs]))

    assert value(found.rollout_duration_s) == pytest.approx(mean("rollout_duration_s"), rel=0.03)
    assert value(found.rollout_latency_p99_s) == pytest.approx(
        mean("rollout_latency_p99_s"), rel=0.25
    )


POLICIES = st.sampled_from(
    [("round_robin", "balancer"), ("least_connections", "instance"), ("random", "instance")]
)


@settings(max_examples=60, deadline=None)
@given(
    instances=st.integers(1, 40),
    slots=st.integers(1, 8),
    load=st.floats(0.0, 1.6),
    window=st.integers(1, 40),
    cv=st.floats(0.0, 4.0),
    how=POLICIES,
    advance=st.sampled_from(["sliding", "batch"]),
    strategy=st.sampled_from(["rolling", "recreate", "blue_green"]),
)
def test_every_figure_is_a_number_and_lies_in_its_range(
    instances: int,
    slots: int,
    load: float,
    window: int,
    cv: float,
    how: tuple[str, str],
    advance: str,
    strategy: str,
) -> None:
    rate_rps = load * instances * slots / 0.2
    found = closed_forms(
        scenario(
            rate=f"{rate_rps:.6f}/s",
            instances=instances,
            slots=slots,
            service_time={"mean": "200ms", "cv": cv},
            policy=how[0],
            queue=how[1],
            steps={"deploy": {"mean": "5s", "cv": 0.4}},
            rollout={
                "window": min(window, instances),
                "advance": advance,
                "strategy": strategy,
            },
        )
    )
    for name, one in ranges(found).items():
        if name != "utilisation_highest_fraction":  # infinite with an empty pool
            assert all(map(math.isfinite, (one.value, one.low, one.high))), (name, one)
        assert one.low <= one.high, (name, one)
        assert one.low >= 0, (name, one)
        rare = {
            "cut_requests",
            "rollout_error_fraction",
            "rollout_wait_mean_s",
            "backlog_max_count",
        }
        if name not in rare:
            assert one.low <= one.value <= one.high, (name, one)
    fraction = found.rollout_error_fraction
    assert fraction is None or fraction.value <= 1


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 30), st.integers(1, 29), st.sampled_from(["sliding", "batch"]))
def test_a_wider_window_takes_no_longer_and_leaves_no_more(
    instances: int, window: int, advance: str
) -> None:
    def of(count: int) -> Estimate:
        rollout = {"window": min(count, instances), "advance": advance}
        steps = {"deploy": {"mean": "5s", "cv": 0.5}}
        return closed_forms(
            scenario(rate="5/s", instances=instances, slots=2, steps=steps, rollout=rollout)
        )

    narrow, wide = of(window), of(window + 1)
    # Drains differ a little: those that leave later meet other shares of the traffic.
    longest_s = value(narrow.rollout_duration_s) * 1.005 + 0.05
    if advance == "sliding":
        assert value(wide.rollout_duration_s) <= longest_s
    assert value(wide.lowest_in_pool_count) <= value(narrow.lowest_in_pool_count)
    assert value(wide.lowest_capacity_fraction) <= value(narrow.lowest_capacity_fraction)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.floats(0.1, 0.85), POLICIES)
@example(6, 0.8125, ("random", "instance"))
def test_a_higher_rate_waits_no_less(window: int, load: float, how: tuple[str, str]) -> None:
    def of(rate_rps: float) -> Estimate:
        return closed_forms(
            scenario(
                rate=f"{rate_rps:.6f}/s",
                instances=8,
                slots=2,
                service_time={"mean": "200ms", "cv": 1},
                policy=how[0],
                queue=how[1],
                steps={"deploy": "8s"},
                rollout={"window": window},
                clock={"warm_up": "30s"},  # auto is shorter the further it is from a balance
            )
        )

    one, more = of(80 * load), of(80 * load * 1.1)
    # With less left than is asked for, a mean wobbles with the grid: by up to a fifth, and by up to a
    # third where every instance has a queue of its own and is chosen by chance.
    is_over = load * 1.1 * 8 / max(8 - window, 1) >= 1
    for name in ("rollout_wait_mean_s", "rollout_latency_p99_s", "backlog_max_count"):
        least = 0.99
        if is_over:
            least = 0.65 if how == ("random", "instance") and "mean" in name else 0.8
        first, second = getattr(one, name), getattr(more, name)
        if first is None or second is None:  # fewest connections do not even out loaded own queues
            assert how == ("least_connections", "instance")
            continue
        assert second.value >= first.value * least - 1e-6, name


def test_what_falls_after_the_start_is_not_called_hopeless() -> None:
    """Later drains meet less traffic: the engine takes 118 to 213 s, within the 220 s."""
    one = scenario(
        rate={"steps": [["0s", "400/s"], ["30s", "1/s"]]},
        instances=400,
        slots=100,
        service_time={"exponential": "20s"},
        steps={"deploy": "1s"},
        rollout={"window": 20, "drain": {"timeout": "60s"}},
        objectives={"duration": "220s"},
    )
    assert closed_forms(one).hopeless == ()


def test_a_canary_leaves_no_fewer_than_are_left() -> None:
    """Half of ten are the canary, and then no more than five are left to be taken out."""
    one = scenario(
        instances=10,
        rollout={
            "strategy": "canary",
            "window": 6,
            "canary": [{"share": "50%", "bake": "1s"}],
        },
        objectives={"lowest_in_pool": 5},
    )
    found = closed_forms(one)
    assert found.lowest_in_pool_count is not None
    assert found.lowest_in_pool_count.value == 5
    assert found.hopeless == ()
