"""Properties that hold for every scenario (Hypothesis)."""

from __future__ import annotations

import hashlib
import itertools
import math
import pickle
import subprocess
import sys
from collections.abc import Generator, Iterable, Iterator
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import simpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from executor.base.canonical_json import digest_of
from simulation.control.fleet import LEGAL_MOVES
from simulation.engines.reference.calls import Call
from simulation.engines.reference.engine import ReferenceEngine
from simulation.engines.reference.station import Station
from simulation.requests.arrivals import ClosedLoop
from simulation.requests.call_states import CONNECTING, PAUSED
from simulation.requests.draws import Draws
from simulation.results.run_result import OUTCOMES, Ending, RunResult
from simulation.results.states import State
from simulation.run import Run
from simulation.scenario.model import Scenario
from simulation.study.case import cases_of, frame_of_cases
from tests.helpers.generated import STEPS, bounded, scenarios
from tests.helpers.scenarios import prepared, run_once, run_replication, scenario

pytestmark = pytest.mark.slow


LOOK_S = math.pi / 62
"""About a twentieth of a second, and never at the moment of anything else."""


def patient(examples: int) -> settings:
    """A simulation takes as long as it takes."""
    return settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def finished(run: Run) -> RunResult:
    run.settle()
    return run.finish(run.alone_end_s())


def engine_of(run: Run) -> ReferenceEngine:
    assert isinstance(run._engine, ReferenceEngine)
    return run._engine


def highest(spans: Iterable[tuple[float, float]]) -> int:
    """Return the maximum number of spans at one moment; a span that ends when another begins does not count."""
    changes = [(begin, 1) for begin, end in spans if end > begin]
    changes += [(end, -1) for begin, end in spans if end > begin]
    level = most = 0
    for _time, change in sorted(changes):
        level += change
        most = max(most, level)
    return most


@patient(150)
@given(scenarios(), st.booleans())
def test_every_request_is_accounted_for(one: Scenario, own_end: bool) -> None:
    run = prepared(bounded(one) if own_end else one)
    result = finished(run)
    requests, table = result.requests, result.table
    assert requests["arrived"] == sum(requests[name] for name in OUTCOMES) + requests["in_flight"]
    assert isinstance(result.ended, Ending)
    assert table is not None
    over = np.isfinite(table.finish_s)
    assert (table.finish_s[over] >= table.arrival_s[over]).all()
    assert requests["in_flight"] == np.count_nonzero(~over)
    for call in engine_of(run)._calls:
        begun = not math.isnan(call.start_s)
        # A connection that is open at the start began before the simulation.
        is_open_at_start = not call.takes_slot and call.start_s < -run._frame.warm_up_s
        assert not begun or is_open_at_start or call.start_s >= call.arrival_s
        assert math.isnan(call.released_s) or (begun and call.released_s >= call.start_s)
        assert math.isnan(call.finish_s) or call.finish_s >= call.arrival_s
    must_use_slots_once(run, one, result.end_s)
    must_have_whole_states(one, result)
    if result.waits is not None:
        parts = vars(result.waits).values()
        duration_s = result.metrics["rollout_duration_s"]
        assert duration_s is not None
        assert min(parts) >= -1e-6
        assert sum(parts) == pytest.approx(duration_s, abs=1e-6)


def must_use_slots_once(run: Run, one: Scenario, end_s: float) -> None:
    """At no moment more calls in service at an instance than it has slots."""
    spans: dict[tuple[str, int], list[tuple[float, float]]] = {}
    names = list(one.services)
    for call in engine_of(run)._calls:
        if call.takes_slot and not math.isnan(call.start_s):
            until_s = end_s + 1 if math.isnan(call.released_s) else call.released_s
            assert isinstance(call.station, Station)
            key = (names[call.station.number], call.instance)
            spans.setdefault(key, []).append((call.start_s, until_s))
    for (name, instance), these in spans.items():
        slots = one.services[name].slots_of()
        assert highest(these) <= slots[instance % len(slots)]


def must_have_whole_states(one: Scenario, result: RunResult) -> None:
    """The intervals of states are complete, do not overlap, and follow the table of moves."""
    by_instance: dict[int, list[Any]] = {}
    for part in result.states:
        by_instance.setdefault(part.instance, []).append(part)
    assert sorted(by_instance) == list(range(len(one.all_instance_names())))
    for parts in by_instance.values():
        assert parts[-1].end_s == result.end_s
        for earlier, later in itertools.pairwise(parts):
            assert earlier.end_s == later.begin_s
            assert later.state in LEGAL_MOVES[earlier.state]


OUT = (
    State.DRAINING,
    State.STOPPING,
    State.DEPLOYING,
    State.VERIFYING,
    State.STARTING,
    State.RETURNING,
)


@patient(80)
@given(scenarios())
def test_the_window_and_the_minimum_are_kept(one: Scenario) -> None:
    result = run_once(bounded(one))
    for name in one.rolled_services():
        rule, service = one.rule(name), one.services[name]
        assert rule is not None
        first, count = one.first_number(name), service.instance_count
        mine = [p for p in result.states if first <= p.instance < first + count]
        if one.second_count(name) == 0:
            out = [(p.begin_s, p.end_s) for p in mine if p.state in OUT]
            assert highest(out) <= one.window_count(name)
        both = [p for p in result.states if first <= p.instance < first + len(one.names_of(name))]
        lost = {p.state for p in both} & {State.CRASHED, State.FAILED}
        if lost or rule.strategy == "recreate":
            continue
        least = one.min_healthy_count(name)
        if rule.strategy == "blue_green":
            least = count
        elif one.second_count(name):
            least = max(least, count - one.window_count(name))
        times = sorted({p.begin_s for p in both})
        for time_s in times:
            up = sum(p.begin_s <= time_s < p.end_s for p in both if p.state is State.SERVING)
            assert up >= least


@patient(60)
@given(scenarios())
def test_the_same_seed_gives_the_same_result(one: Scenario) -> None:
    first, second = run_once(bounded(one)), run_once(bounded(one))
    assert pickle.dumps(first) == pickle.dumps(second)


@patient(30)
@given(scenarios(), st.data())
def test_candidates_see_the_same_arrivals_over_the_same_interval(
    one: Scenario, data: st.DataObject
) -> None:
    one = bounded(one)
    count = min(service.instance_count for service in one.services.values())
    windows = data.draw(st.lists(st.integers(1, count), min_size=2, max_size=3))
    cases = cases_of(one, windows=windows, drain_timeouts_s=[0.0, 5.0])
    frame = frame_of_cases(cases)
    row = run_replication(cases, frame, 3, keep_requests=True)
    first = row.runs[0]
    assert first.table is not None
    for run in row.runs[1:]:
        assert run.table is not None
        assert run.end_s == first.end_s
        if one.traffic.arrivals != "closed":
            np.testing.assert_array_equal(run.table.arrival_s, first.table.arrival_s)


@patient(60)
@given(scenarios())
def test_what_is_there_is_what_is_recorded_and_obeys_littles_law(one: Scenario) -> None:
    """Counted twenty times a second; ∫ number dt is the sum of all times in the system."""
    run = prepared(bounded(one))
    retries = any(s.balancer.connect_retries.attempts for s in one.services.values())
    engine, env = engine_of(run), run._env
    seen: list[tuple[float, int]] = []

    def look() -> Generator[simpy.Event, None, None]:
        while True:
            yield env.timeout(LOOK_S)
            there = sum(
                station.count(instance)
                for station in engine._stations.values()
                for instance in range(len(station._slots))
            )
            queued = sum(sum(station._queued) for station in engine._stations.values())
            tried = engine._calls if retries else []
            connecting = sum(call.state in {CONNECTING, PAUSED} for call in tried)
            seen.append((float(env.now), there - queued + engine._waiting + connecting))

    begin_s = float(env.now)
    env.process(look())
    result = finished(run)
    spans = [system_time(call, result.end_s) for call in engine._calls]
    begins, ends = np.array(spans).reshape(-1, 2).T
    for time_s, there in seen:
        assert there == np.count_nonzero((begins <= time_s) & (ends > time_s))
    mean_count = float(np.mean([there for _, there in seen])) if seen else 0.0
    in_system_s = float(np.sum(np.minimum(ends, result.end_s) - begins))
    # Each change of the number is seen late by a random part of `LOOK_S`; clients that wait for each other's
    # answers change it together.
    changes = np.concatenate([begins, np.minimum(ends, result.end_s)]).round(9)
    changed_together = np.unique(changes, return_counts=True)[1]
    spread = LOOK_S / 12**0.5 * float(np.sum(changed_together**2)) ** 0.5
    allowed = 5 * spread + LOOK_S * (1 + mean_count)
    assert mean_count * (result.end_s - begin_s) == pytest.approx(in_system_s, abs=allowed)


def system_time(call: Call, end_s: float) -> tuple[float, float]:
    """Return the interval in which a call was queued or in service."""
    gone_s = call.finish_s if math.isnan(call.start_s) else call.released_s
    return call.arrival_s, end_s + 1 if math.isnan(gone_s) else gone_s


@patient(60)
@given(scenarios())
def test_a_queue_is_first_come_first_served(one: Scenario) -> None:
    run = prepared(bounded(one))
    finished(run)
    for station in engine_of(run)._stations.values():
        rule = station._rule
        if rule.queue != "balancer" or rule.sticky or rule.connect_retries.attempts or rule.requeue:
            continue
        calls = [c for c in engine_of(run)._calls if c.station is station and c.takes_slot]
        starts = [call.start_s for call in calls if not math.isnan(call.start_s)]
        assert starts == sorted(starts)


@patient(80)
@given(scenarios())
def test_belief_never_leads_truth_by_more_than_the_stated_lag(one: Scenario) -> None:
    """No request is sent to an instance that has been out for longer than the balancer's lag."""
    sent: list[tuple[float, Station, int]] = []
    send = Station._send

    def recording(self: Station, call: Call, instance: int) -> None:
        if call.tries == 0:
            sent.append((float(self._env.now), self, instance))
        send(self, call, instance)

    with patch.object(Station, "_send", recording):
        result = run_once(bounded(one))
    names = list(one.services)
    served: dict[int, list[tuple[float, float]]] = {}
    for part in result.states:
        if part.state is State.SERVING:
            served.setdefault(part.instance, []).append((part.begin_s, part.end_s))
    for time_s, station, instance in sent:
        service = one.services[names[station.number]]
        bound_s = lag_s(service.balancer, crashes=service.crashes is not None)
        stays = service.balancer.sticky or service.balancer.balances_connections
        if time_s > result.end_s or stays or bound_s is None:
            continue
        number = one.first_number(names[station.number]) + instance
        assert any(
            begin_s <= time_s <= end_s + bound_s + 1e-9 for begin_s, end_s in served.get(number, [])
        )


def lag_s(balancer: Any, *, crashes: bool) -> float | None:
    """Return the maximum lag of a balancer; None where it never learns that an instance is out."""
    if balancer.policy == "pull":
        return 0.0
    bound_s: float = balancer.propagation_delay
    if crashes:
        check = balancer.health_check
        if check is None:
            return None
        bound_s += (check.fall + 1) * check.interval + check.timeout
    return bound_s


@patient(40)
@given(scenarios())
def test_a_run_ends_within_a_bounded_number_of_events(one: Scenario) -> None:
    run = prepared(bounded(one, 20.0))
    steps = 0
    with patch.object(type(run._env), "step", autospec=True) as step:
        original = simpy.Environment.step

        def counted(env: Any) -> None:
            nonlocal steps
            steps += 1
            assert steps < 400_000
            original(env)

        step.side_effect = counted
        assert isinstance(finished(run).ended, Ending)


@patient(100)
@given(scenarios())
def test_a_scenario_written_out_is_the_same_scenario(one: Scenario) -> None:
    again = Scenario.model_validate(one.as_data())
    assert again == one
    assert digest_of(again.as_data()) == digest_of(one.as_data())


def test_a_closed_loop_asks_the_same_whatever_is_simulated() -> None:
    one = scenario(
        traffic={
            "arrivals": "closed",
            "clients": {"count": 3, "think_time": {"exponential": "1s"}},
        }
    )
    loops = [ClosedLoop(one.traffic, one.demands(), Draws(1, 0)) for _ in range(2)]
    for client, sequence in itertools.product(range(3), range(50)):
        assert loops[0].request(client, sequence) == loops[1].request(client, sequence)
        assert loops[0].think_s(client, sequence) == loops[1].think_s(client, sequence)


VARIED_ELSEWHERE = {"rollcast", "rollout.rounding"}
"""Keys that have one value so far."""


USERS_KEYS = {"services", "classes", "instances", "weights", "service_time", "order"}
"""Keys whose children are named by the user."""


def leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Return every key and its value, without names that the user gives."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{prefix}{key}", repr(value)
            inner = value.values() if key in USERS_KEYS and isinstance(value, dict) else [value]
            for one in inner:
                yield from leaves(one, f"{prefix}{key}.")
    elif isinstance(node, list):
        for one in node:
            yield from leaves(one, prefix)


def test_the_generator_varies_every_key_of_the_schema() -> None:
    found: dict[str, set[str]] = {}

    @settings(patient(400), derandomize=True, database=None)
    @given(scenarios())
    def collect(one: Scenario) -> None:
        for key, value in leaves(one.model_dump(mode="json", by_alias=True)):
            found.setdefault(key, set()).add(value)

    collect()
    once = {key for key in schema_keys() if len(found.get(key, ())) < 2}
    assert once == VARIED_ELSEWHERE


def schema_keys() -> Iterator[str]:
    """Every key of the schema, as `leaves` names them; forms of a rate or duration are one key."""
    schema = Scenario.model_json_schema(by_alias=True)
    definitions = schema["$defs"]

    def walk(node: dict[str, Any], prefix: str) -> Iterator[str]:
        if "$ref" in node:
            node = definitions[node["$ref"].rsplit("/", 1)[1]]
        options = [one for one in node.get("anyOf", []) if "$ref" in one]
        inner = node if "properties" in node else options[0] if len(options) == 1 else node
        if "$ref" in inner:
            inner = definitions[inner["$ref"].rsplit("/", 1)[1]]
        for key, part in inner.get("properties", {}).items():
            name = f"{prefix}{key}"
            if prefix == "services." and key == "rollout":
                continue  # the keys of `rollout` itself
            yield name
            held = part.get("additionalProperties")
            if key in {"services", "classes"} and isinstance(held, dict):
                yield from walk(held, f"{name}.")
            else:
                yield from walk(part, f"{name}.")

    yield from walk(schema, "")


ELSEWHERE = """
import hashlib, pickle
from tests.simulation.control.test_properties import example
from tests.helpers.scenarios import run_once
print(hashlib.sha256(pickle.dumps(run_once(example()))).hexdigest())
"""


def example() -> Scenario:
    """A scenario in which everything happens."""
    return scenario(
        rate="60/s",
        service_time={"mean": "50ms", "cv": 1},
        policy="least_connections",
        steps={step: {"mean": "1s", "cv": 0.5} for step in STEPS},
        client_timeout="300ms",
        rollout={"window": 2, "drain": {"timeout": "100ms"}, "min_ready": "1s"},
    )


def test_the_same_seed_gives_the_same_bits_in_another_process() -> None:
    answers = {
        subprocess.run(
            [sys.executable, "-c", ELSEWHERE], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert answers == {hashlib.sha256(pickle.dumps(run_once(example()))).hexdigest() + "\n"}


def test_another_seed_or_replication_gives_other_requests() -> None:
    one = example()
    other_seed = one.model_copy(update={"seed": 2})
    tables = [run_once(one), run_once(other_seed), run_once(one, replication=1)]
    firsts = {float(run.table.arrival_s[0]) for run in tables if run.table is not None}
    assert len(firsts) == 3
