"""The length of an automatic warm-up, and the note where it does not reach a steady state."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import warm_up_of
from simulation.study.notes import Note, NoteKind, notes_json, notes_of
from tests.helpers.scenarios import of_services, run_once, scenario


def wanted_s(one: Scenario) -> float:
    found = warm_up_of([one])
    assert found.wanted_s is not None
    return found.wanted_s


@pytest.mark.parametrize(
    ("service_time", "varies"),
    [
        ("100ms", 1.0),
        ({"exponential": "100ms"}, 1.0),
        ({"mean": "100ms", "cv": 1}, 1.0),
        ({"mean": "100ms", "cv": 3}, 5.0),
        ({"mean": "100ms", "cv": 10}, 50.5),
    ],
)
def test_the_relaxation_time_grows_with_the_spread_of_service_times(
    service_time: Any, varies: float
) -> None:
    """(1 + cv²)/2 times the p99.9 of a service and ten relaxation times of an M/M/c queue."""
    one = scenario(rate="50/s", instances=5, slots=2, service_time=service_time)
    longest_s = float(one.service.service_time.quantile_s(0.999))
    forgets_s = 0.1 / 10 / (math.sqrt(0.5) - 1) ** 2
    full_s, enough_s = (math.ceil(varies * (longest_s + k * forgets_s) - 1e-9) for k in (10, 5))
    assert warm_up_of([one]).given_s == full_s
    assert wanted_s(one) == enough_s


def test_after_the_warm_up_a_thousandth_of_the_initial_requests_is_left() -> None:
    """∫ P(S > u) du from the warm-up on, over E[S]: the fraction that an empty start lacks at its end."""
    for cv in (1.0, 2.0, 3.0, 10.0):
        one = scenario(
            rate="1/s",
            instances=50,
            slots=2,
            queue="instance",
            service_time={"mean": "10s", "cv": cv},
        )
        lacks = one.service.service_time.excess_s(np.array([wanted_s(one)]))[0] / 10
        assert lacks < 0.003, cv


def test_the_warm_up_is_as_long_as_long_requests() -> None:
    """Downloads of an hour hold slots: after ten minutes of warm-up only a sixth of them are in service."""
    one = scenario(
        rate="36/h",
        instances=4,
        slots=40,
        service_time={"exponential": "1h"},
        rollout={"window": 1, "drain": {"timeout": "1s"}},
        clock={"horizon": "5s"},
    )
    assert warm_up_of([one]).given_s == wanted_s(one) > 6 * 3600
    runs = [run_once(one, k, keep_requests=False) for k in range(20)]
    there = [run.series["in_flight_count"][0] for run in runs]
    assert np.mean(there) == pytest.approx(36, abs=4 * 6 / math.sqrt(20))
    assert notes_of(one) == ()


def test_long_lived_connections_need_no_warm_up() -> None:
    kind = {"holds_slot": False, "service_time": {"app": "10h"}}
    one = scenario(classes={"ws": {"share": "1%", **kind}, "page": {}})
    assert wanted_s(one) == wanted_s(scenario())


def test_a_class_of_its_own_service_time_counts() -> None:
    plain = scenario(rate="20/s", instances=2, slots=4)
    rare = {"share": "1%", "service_time": {"app": {"mean": "2s", "cv": 2}}}
    assert wanted_s(scenario(rate="20/s", classes={"page": {}, "report": rare})) > 4 * wanted_s(
        plain
    )


def test_close_to_capacity_the_warm_up_is_reported_as_too_short() -> None:
    """At a load of 99.9 % the relaxation time of a queue with one slot is 4,000,000 services."""
    one = scenario(rate="999/s", instances=1, slots=1, service_time={"exponential": "1ms"})
    found = warm_up_of([one])
    assert found.given_s == 600
    assert wanted_s(one) == pytest.approx(5 * 1e-3 / (math.sqrt(0.999) - 1) ** 2, rel=0.01)
    assert found.is_too_short
    note = Note(NoteKind.WARM_UP_TOO_SHORT, given_s=600.0, wanted_s=found.wanted_s)
    assert notes_of(one) == (note,)
    kinds = [one["kind"] for one in notes_json(notes_of(one))]
    assert kinds == ["warm_up_too_short"]


def test_above_ten_minutes_five_relaxation_times_are_enough() -> None:
    """Ten would take 1,600 s at a load of 95 % and services of 100 ms: not worth their requests."""
    one = scenario(rate="9.5/s", instances=1, slots=1, service_time={"exponential": "100ms"})
    relaxation_s = 0.1 / (math.sqrt(0.95) - 1) ** 2
    assert 10 * relaxation_s > 1500
    longest_s = 0.1 * math.log(1000)
    assert warm_up_of([one]).given_s == math.ceil(longest_s + 5 * relaxation_s) == wanted_s(one)
    assert notes_of(one) == ()


def test_five_relaxation_times_lead_to_a_steady_state() -> None:
    """The mean queue of an M/M/1 queue at 90 %: ρ²/(1 − ρ) = 8.1, from 5 relaxation times on."""
    gone_s = math.ceil(5 * 0.1 / (math.sqrt(0.9) - 1) ** 2)
    one = scenario(
        rate="9/s",
        instances=1,
        slots=1,
        service_time={"exponential": "100ms"},
        clock={"warm_up": f"{gone_s}s", "horizon": "1s"},
        rollout={"window": 1},
    )
    runs = [run_once(one, k, keep_requests=False) for k in range(600)]
    queues = [run.series["queue_count"][0] for run in runs]
    assert np.mean(queues) == pytest.approx(8.1, abs=4 * np.std(queues) / math.sqrt(600))
    assert 4 * np.std(queues) / math.sqrt(600) < 2


def test_the_limit_is_ten_minutes_or_as_long_as_200_000_calls_and_checks_take() -> None:
    tight: dict[str, Any] = {"instances": 1, "slots": 1, "service_time": {"exponential": "10ms"}}
    one = scenario(rate="99.9/s", **tight)
    assert warm_up_of([one]).given_s == math.floor(200_000 / 99.9)
    check = {"interval": "10ms", "timeout": "5ms", "rise": 1, "fall": 1}
    checked = scenario(rate="99.9/s", balancer={"health_check": check}, **tight)
    assert warm_up_of([checked]).given_s == math.floor(200_000 / 199.9)
    assert warm_up_of([checked]).is_too_short


def test_a_closed_loop_relaxes_in_a_few_cycles_of_its_clients_at_any_load() -> None:
    """An open queue at a load of 100 % would never reach a steady state; 40 clients do in a minute."""
    for slots, cycle_s in ((1, 3.0 + 40 * 0.05 / 2), (2, 3.0 + 40 * 0.05 / 4), (40, 3.05)):
        one = scenario(
            instances=2,
            slots=slots,
            traffic={
                "arrivals": "closed",
                "clients": {"count": 40, "think_time": {"exponential": "3s"}},
            },
        )
        found = warm_up_of([one])
        assert found.given_s == math.ceil(0.05 + 10 * cycle_s)
        assert notes_of(one) == ()
    at_capacity = scenario(
        instances=2,
        slots=1,
        traffic={"arrivals": "closed", "clients": {"count": 41, "think_time": "975ms"}},
    )
    assert math.isfinite(wanted_s(at_capacity))


def test_the_warm_up_begins_before_the_queue_that_is_left_of_an_earlier_peak() -> None:
    """80/s are served. 100/s came for five minutes, then 75/s for one: 5,700 still wait at the start."""
    one = scenario(
        rate={"steps": [["0s", "40/s"], ["1h", "100/s"], ["65m", "75/s"]]},
        instances=2,
        rollout={"window": 1},
        clock={"start": "66m", "horizon": "1s"},
    )
    assert 360 < warm_up_of([one]).given_s < 400
    run = run_once(one, keep_requests=False)
    assert run.series["queue_count"][0] == pytest.approx(5700, abs=4 * math.sqrt(36_000))
    cleared = scenario(
        rate={"steps": [["0s", "40/s"], ["1h", "100/s"], ["65m", "10/s"]]},
        instances=2,
        clock={"start": "68m"},
    )
    assert warm_up_of([cleared]).given_s < 5


def test_a_slot_is_held_while_the_services_behind_work() -> None:
    """100/s hold 5.5 of 5 slots in front: 5 ms of their own work and 50 ms of the service behind."""
    services: dict[str, dict[str, Any]] = {
        "front": {"slots": 5, "service_time": "5ms"},
        "back": {"slots": 20},
    }
    one = of_services(services, {"page": {"route": ["front", "back"]}}, rate="100/s")
    assert warm_up_of([one]).is_overloaded
    services["front"]["slots"] = 6
    roomier = of_services(services, {"page": {"route": ["front", "back"]}}, rate="100/s")
    assert not warm_up_of([roomier]).is_overloaded


@pytest.mark.parametrize(
    ("rate", "is_over", "kinds"),
    [
        ("79/s", False, []),
        ("80/s", True, [NoteKind.OVERLOADED_BEFORE]),
        ("200/s", True, [NoteKind.ENDLESS_OVERLOAD]),
    ],
)
def test_an_overloaded_fleet_is_reported(rate: str, is_over: bool, kinds: list[NoteKind]) -> None:
    """Two instances of two slots, 50 ms a request: 80/s. More can never be carried, and is not simulated."""
    one = scenario(rate=rate, instances=2, slots=2)
    assert warm_up_of([one]).is_overloaded is is_over
    assert [note.kind for note in notes_of(one)] == kinds
    given = scenario(rate=rate, instances=2, slots=2, clock={"warm_up": "5s"})
    assert warm_up_of([given]).given_s == 5
    without_warm_up = [kind for kind in kinds if kind is NoteKind.ENDLESS_OVERLOAD]
    assert [note.kind for note in notes_of(given)] == without_warm_up


def test_an_old_version_that_is_slower_serves_less() -> None:
    versions = {"old": {"service_factor": 2.0}}
    assert warm_up_of([scenario(rate="50/s", instances=2, versions=versions)]).is_overloaded


def test_the_tightest_service_counts() -> None:
    services = {"a": {"slots": 20}, "b": {"slots": 10}}
    one = of_services(services, {"page": {"route": ["a", "b"]}}, rate="300/s")
    assert warm_up_of([one]).is_overloaded  # b serves 200/s
