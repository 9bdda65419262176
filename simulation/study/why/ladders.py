"""Values to try one after the other, the smallest change first."""

from __future__ import annotations

import math
from collections.abc import Iterable

from simulation.scenario.model import Scenario
from simulation.scenario.units import format_duration
from simulation.study.why.diagnosis import Values
from simulation.study.why.round_values import round_values

Ladder = tuple[Values, ...]

_MOST_STEPS = 8
"""Maximum number of values of one ladder."""

_FARTHEST = 20.0
"""A duration is prolonged by this factor at most."""

_TIMES_LAG = 5
"""A `pre_stop` is this multiple of the lag of a balancer at most."""

_DURATIONS_S = (
    *(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 45.0),
    *(60.0, 90.0, 120.0, 180.0, 240.0, 300.0, 420.0, 600.0, 900.0, 1200.0, 1800.0, 2700.0),
    *(3600.0, 5400.0, 7200.0, 10800.0, 14400.0, 21600.0, 43200.0, 86400.0),
)
"""Durations that people choose, in seconds."""

_MORE = (1.05, 1.1, 1.2, 1.3, 1.5, 1.75, 2.0, 3.0)
_FEWER = (0.9, 0.8, 0.7, 0.6, 0.5, 0.35, 0.2)


def longer_s(value_s: float, least_s: float = 0.0) -> list[float]:
    """Return round durations above a duration, up to `_FARTHEST` times as long, ascending.

    Args:
        value_s: The duration, in seconds.
        least_s: The lowest duration whose twenty-fold is reached, where that is longer.
    """
    most_s = _FARTHEST * max(value_s, least_s, 0.25)
    return _thin([each for each in _DURATIONS_S if value_s < each <= most_s])


def _thin(values: list[float]) -> list[float]:
    """Return at most `_MOST_STEPS` of the values, evenly spread, with the first and the last."""
    if len(values) <= _MOST_STEPS:
        return values
    step = (len(values) - 1) / (_MOST_STEPS - 1)
    return [values[round(number * step)] for number in range(_MOST_STEPS)]


def longer_than_lag_s(lag_s: float) -> list[float]:
    """Return round durations above the lag of a balancer, up to five times as long, ascending.

    A plan whose `pre_stop` is the lag itself is refused.
    """
    return _thin(round_values(lag_s, _TIMES_LAG * lag_s))


def durations(keys: Iterable[str], values_s: Iterable[float]) -> Ladder:
    """Return the durations as values of all the keys."""
    keys = tuple(keys)
    return tuple(dict.fromkeys(keys, format_duration(round(value_s, 6))) for value_s in values_s)


def rollout_keys(scenario: Scenario, key: str) -> tuple[str, ...]:
    """Return where a key of `rollout` stands: the common one, and the services' own.

    Args:
        scenario: The scenario.
        key: A key, such as ``drain.timeout``.
    """
    first = key.split(".", maxsplit=1)[0]
    rolled = scenario.rolled_services()
    own = [name for name in rolled if scenario.has_own(name, first)]
    common = () if len(own) == len(rolled) else (f"rollout.{key}",)
    return (*common, *(f"services.{name}.rollout.{key}" for name in own))


def smaller_windows(scenario: Scenario) -> Ladder:
    """Return smaller windows, the largest first."""
    window = scenario.window_count()
    counts = (
        range(window - 1, 0, -1)
        if window <= _MOST_STEPS
        else sorted({1, *(int(window * factor) for factor in _FEWER)}, reverse=True)
    )
    keys = rollout_keys(scenario, "window")
    return tuple(dict.fromkeys(keys, count) for count in counts)


def larger_windows(scenario: Scenario) -> Ladder:
    """Return larger windows, the smallest first, as long as half of the smallest fleet stays."""
    window = scenario.window_count()
    most = min(scenario.services[name].instance_count for name in scenario.rolled_services()) // 2
    counts = _thin([float(count) for count in range(window + 1, most + 1)])
    keys = rollout_keys(scenario, "window")
    return tuple(dict.fromkeys(keys, int(count)) for count in counts)


def surges(scenario: Scenario) -> Ladder:
    """Return surges that keep the whole fleet in the pool, the smallest first."""
    if len(scenario.rolled_services()) > 1:
        return ()
    count = scenario.service.instance_count
    numbers = sorted({1, 2, math.ceil(count / 4), math.ceil(count / 2)})
    least = dict.fromkeys(rollout_keys(scenario, "min_healthy"), count)
    keys = rollout_keys(scenario, "surge")
    return tuple({**dict.fromkeys(keys, number), **least} for number in numbers if number <= count)


def more_instances(scenario: Scenario, least_factor: float = 1.0) -> Ladder:
    """Return larger fleets of the service that has the highest load, the smallest first.

    Args:
        scenario: The scenario.
        least_factor: The smallest factor on the fleet that may help.
    """
    rate_rps = float(scenario.rates().rate_at(scenario.start_s()))
    loads = {
        name: rate_rps * scenario.work_s(name) / sum(service.power())
        for name, service in scenario.services.items()
    }
    name = max(loads, key=loads.__getitem__)
    instances = scenario.services[name].instances
    if not isinstance(instances, int):
        return ()
    counts = sorted({math.ceil(instances * least_factor * factor) for factor in _MORE})
    return tuple({f"services.{name}.instances": count} for count in counts if count > instances)
