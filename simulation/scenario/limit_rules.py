"""The size limits of a scenario: of single keys, and of several keys together.

These limits are checked before anything of that size is built: a fleet of 10⁹ instances is refused as
quickly as a fleet of 10 is accepted. The limits of durations and rates are in
`simulation.scenario.units`, those of files in `executor.base.text_limits`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel

from executor.base.errors import BadInput
from executor.base.yaml_positions import NOT_GIVEN
from simulation.scenario.limits import (
    LEAST_CV,
    MOST_CANDIDATES,
    MOST_CONNECTIONS,
    MOST_EVENTS_OF_A_RUN,
    MOST_INSTANCES,
    MOST_NUMBER,
    MOST_PLACES,
    MOST_REPLICATIONS,
    MOST_REQUESTS_OF_A_RUN,
    MOST_REQUESTS_OF_A_STUDY,
)
from simulation.scenario.simulated_interval import expected_run_s, frame_of
from simulation.scenario.traffic_rules import Broken
from simulation.scenario.units import MOST_DURATION_S, MOST_RATE_RPS

if TYPE_CHECKING:
    from simulation.scenario.model import Scenario

Key = tuple[str, ...]


_MOST: Mapping[str, int] = {
    "instances": MOST_INSTANCES,
    "slots": 100_000,
    "zones": MOST_INSTANCES,
    "speed": 1_000_000,
    "replications": MOST_REPLICATIONS,
    "seed": 2**63 - 1,
    "sessions": 10_000_000,
    "count": 1_000_000,
    "connections": MOST_CONNECTIONS,
    "cv": 1_000,
    "rise": 1_000,
    "fall": 1_000,
    "retries": 1_000,
    "max_failures": MOST_INSTANCES,
    "lowest_in_pool": MOST_INSTANCES,
    "most_instances": 2 * MOST_INSTANCES,
    "failed_instances": MOST_INSTANCES,
    "failed_requests": MOST_REQUESTS_OF_A_RUN,
    "surge": MOST_INSTANCES,
    "min_healthy": MOST_INSTANCES,
    "services": 1_000,
    "classes": 1_000,
    "route": 1_000,
    "canary": 1_000,
    "freeze": 1_000,
    "order": 1_000,
    "weights": MOST_INSTANCES,
    "steps": 1_000_000,
    "days": 10_000,
    "known": 10_000,
    "empirical": 1_000_000,
    "timestamps": 20_000_000,
}
"""Maximum by name of the key: of a number's value, or of the entries of a list or mapping."""

_LEAST: Mapping[str, float] = {"speed": 1e-6, "service_factor": 1e-6, "factor": 1e-6, "shape": 0.05}
"""Minimum by name of the key: a smaller divisor or shape would overflow."""


def broken_limits(scenario: Scenario) -> list[Broken]:
    """Return every limit of a single key, or of all instances together, that the scenario exceeds."""
    broken = [*_broken_keys((), scenario)]
    if broken:
        return broken
    services = scenario.services
    count = sum(service.instance_count for service in services.values())
    if count > MOST_INSTANCES:
        rule = f"the fleets have {count:,} instances together, at most {MOST_INSTANCES:,} may be"
        broken.append((("services",), NOT_GIVEN, rule))
    most_slots = max(max(service.slots_of()) for service in services.values())
    if count * most_slots > MOST_PLACES:
        name, service = max(services.items(), key=lambda pair: max(pair[1].slots_of()))
        rule = (
            f"{count:,} instances of up to {most_slots:,} slots come to {count * most_slots:,}, "
            f"which must be at most {MOST_PLACES:,}"
        )
        broken.append((("services", name, "slots"), service.slots, rule))
    return broken


def broken_run_limits(scenario: Scenario) -> Iterator[Broken]:
    """Yield every limit of a run, or of all replications, that the scenario exceeds.

    The scenario must break no other rule, such as a window larger than the fleet.
    """
    warm_up_s, lasts_s = expected_run_s(scenario)
    run_s = warm_up_s + lasts_s
    count = expected_requests(scenario, warm_up_s, lasts_s)
    key = ("traffic", "clients" if scenario.traffic.arrivals == "closed" else "rate")
    expected = f"about {count:.3g} requests in a run of {run_s:,.0f} s"
    if count > MOST_REQUESTS_OF_A_RUN:
        rule = f"comes to {expected}, at most {MOST_REQUESTS_OF_A_RUN:,} may be"
        yield key, NOT_GIVEN, rule
        return
    total = count * (scenario.replications or 1)
    if total > MOST_REQUESTS_OF_A_STUDY:
        rule = (
            f"comes to {expected}, {total:.3g} in all, at most {MOST_REQUESTS_OF_A_STUDY:,} may be"
        )
        yield ("replications",), scenario.replications, rule
    for at, event_count, events, value in _events(scenario, run_s):
        if event_count > MOST_EVENTS_OF_A_RUN:
            rule = (
                f"comes to about {event_count:.3g} {events} in a run of {run_s:,.0f} s, at most "
                f"{MOST_EVENTS_OF_A_RUN:,} may be"
            )
            yield at, f"{value:g}s", rule


def broken_horizon(scenario: Scenario) -> Iterator[Broken]:
    """Yield the limit that a run which never settles would exceed, where the horizon is `auto`."""
    if scenario.clock.horizon is not None:
        return
    horizon_s = frame_of([scenario]).horizon_s
    count = expected_requests(scenario, 0.0, horizon_s)
    if count > MOST_REQUESTS_OF_A_STUDY:
        rule = (
            f"a run that never settles would last {horizon_s:,.0f} s, with about {count:.3g} requests, "
            f"at most {MOST_REQUESTS_OF_A_STUDY:,} may be; give a horizon, or shorter drains and steps"
        )
        yield ("clock", "horizon"), "auto", rule


def refuse_too_many_candidates(name: str, counts: Mapping[str, int]) -> None:
    """Refuse a study that is too large, before its candidates are built.

    Args:
        name: The scenario's name.
        counts: The number of values of each varied key, by the name of the key.

    Raises:
        BadInput: There would be too many candidates.
    """
    total = math.prod(max(1, count) for count in counts.values())
    if total > MOST_CANDIDATES:
        factors = " × ".join(f"{count:,} {key}" for key, count in counts.items() if count > 1)
        raise BadInput(
            f"{name}: {factors}: come to {total:,} candidates, at most {MOST_CANDIDATES:,} may be"
        )


def _broken_keys(key: Key, value: Any) -> Iterator[Broken]:
    """Yield the keys at and below a key whose values exceed their limit.

    Names that people choose (of services, classes, instances) are not keys with a limit.
    """
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            child = getattr(value, name)
            if child is not None:
                yield from _broken_keys((*key, field.alias or name), child)
    elif isinstance(value, dict | tuple):
        yield from _broken_entries(key, value)
    elif isinstance(value, int | float) and type(value) is not bool:
        rule = _broken_number(key[-1], value)
        if rule is not None:
            yield key, value, rule


def _broken_entries(key: Key, value: dict[str, Any] | tuple[Any, ...]) -> Iterator[Broken]:
    """Yield a list or mapping with too many entries, or the values in it that exceed their limit."""
    most = _MOST.get(key[-1], MOST_NUMBER)
    if len(value) > most:
        yield key, NOT_GIVEN, f"has {len(value):,} entries, at most {most:,} may be"
        return
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for part, child in pairs:
        if isinstance(child, BaseModel):
            yield from _broken_keys((*key, str(part)), child)
        elif isinstance(value, dict) and isinstance(child, float) and child > MOST_NUMBER:
            yield (*key, str(part)), child, f"must be at most {MOST_NUMBER:,}"


def _broken_number(name: str, value: float) -> str | None:
    """Return the limit that a number exceeds, by the name of its key, or None."""
    most = _MOST.get(name, MOST_NUMBER)
    # The limits of durations and rates, already checked, are larger than that of plain numbers.
    if not isinstance(value, int) and name not in _MOST and name not in _FACTORS:
        most = int(max(MOST_DURATION_S, MOST_RATE_RPS))
    if value > most:
        return f"must be at most {most:,}"
    if name == "cv" and 0 < value < LEAST_CV:
        return f"must be 0, or at least {LEAST_CV:g}"
    if value < _LEAST.get(name, -math.inf):
        return f"must be at least {_LEAST[name]:g}"
    return None


_FACTORS = frozenset({"factor", "service_factor", "shape", "dispersion", "scale", "speed", "cv"})
"""Keys of floats without a unit."""


def expected_requests(scenario: Scenario, warm_up_s: float, lasts_s: float) -> float:
    """Return the integral of the rate over a run: the expected number of requests."""
    table = scenario.rates()
    start_s = scenario.start_s()
    edges = np.clip(table.edges_s, start_s - warm_up_s, start_s + lasts_s)
    count = float(np.nansum(np.diff(edges) * table.rates_rps))
    # The first rate holds before the first edge, and the last one after the last.
    before_s = max(0.0, min(start_s + lasts_s, table.edges_s[0]) - (start_s - warm_up_s))
    after_s = max(0.0, start_s + lasts_s - max(start_s - warm_up_s, float(table.edges_s[-1])))
    if math.isfinite(table.rates_rps[0]):
        count += before_s * float(table.rates_rps[0])
    if not table.ends and after_s > 0:
        count += after_s * float(table.rates_rps[-1])
    return count


def _events(scenario: Scenario, run_s: float) -> Iterator[tuple[Key, float, str, float]]:
    """Yield the other events of a run: key, expected number, kind of event, and value of the key."""
    for name, service in scenario.services.items():
        key: Key = ("services", name)
        count = service.instance_count
        where: Key
        check = service.balancer.health_check
        if check is not None:
            where = (*key, "balancer", "health_check", "interval")
            yield where, count * run_s / check.interval, "health checks", check.interval
        if service.crashes is not None:
            mtbf_s = service.crashes.mtbf
            yield (*key, "crashes", "mtbf"), count * run_s / mtbf_s, "crashes", mtbf_s
        rule = scenario.rule(name)
        if rule is not None and rule.drain.poll > 0:
            where = ("rollout", "drain", "poll")
            if scenario.has_own(name, "drain"):
                where = (*key, *where)
            drain_s = min(rule.drain.timeout, run_s)
            yield where, count * drain_s / rule.drain.poll, "looks at drains", rule.drain.poll
