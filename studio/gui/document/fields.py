"""What can be edited: each field with its key, its unit, its range, in plain words.

Enters: a scenario. Leaves: the fields that it has, with their values as numbers or texts; a field
says how its value is written into the file. No widget is known here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from simulation.scenario.balancer import SENDING
from simulation.scenario.model import Scenario
from simulation.scenario.traffic import (
    ConstantRate,
    DailyRate,
    TimestampsRate,
    TraceRate,
    parse_start,
)
from simulation.scenario.units import format_duration, format_rate

SMOOTH = 400
"""Steps of a slider at most; no two of them are the same number."""


@dataclass(frozen=True)
class Field:
    """A number that can be edited.

    Attributes:
        group: The heading it stands under.
        label: What it is called.
        key: Where it stands in the file.
        unit: What its number counts, shown beside it.
        tip: What it does, in plain words.
        value: Its value now.
        low: The smallest value.
        high: The largest value of the slider; numbers beyond may be typed.
        decimals: How many are shown.
        write: The value as the file says it.
    """

    group: str
    label: str
    key: str
    unit: str
    tip: str
    value: float
    low: float
    high: float
    decimals: int
    write: Callable[[float], object]


@dataclass(frozen=True)
class FieldChoice:
    """One of a few words that can be chosen.

    Attributes:
        group: The heading it stands under.
        label: What it is called.
        key: Where it stands in the file.
        tip: What it does, in plain words.
        value: The word it has now.
        words: The words there are, as the file says them.
    """

    group: str
    label: str
    key: str
    tip: str
    value: str
    words: tuple[str, ...]


def _seconds(value: float) -> object:
    return format_duration(round(value, 3))


def _rate(value: float) -> object:
    return format_rate(round(value, 3))


def _scale(value: float) -> object:
    return round(value, 4)


def _milliseconds(value: float) -> object:
    return f"{value:g}ms"


def _percent(value: float) -> object:
    return f"{value:g}%"


def _minutes(value: float) -> object:
    return _seconds(value * 60)


def fields_of(scenario: Scenario, saved: Scenario) -> list[Field | FieldChoice]:
    """The fields of a scenario, in the order in which they are shown.

    Args:
        scenario: As it stands.
        saved: As it was saved: what a scale of steps refers to.
    """
    return [
        *_rollout(scenario),
        *_traffic(scenario, saved),
        *_fleet(scenario),
        *_objectives(scenario),
        *_balancer(scenario),
    ]


def _rollout(scenario: Scenario) -> list[Field | FieldChoice]:
    rule, count = scenario.rollout, scenario.service.instance_count
    if rule is None:
        return []
    return [
        Field(
            "Rollout",
            "Window size",
            "rollout.window",
            "",
            "How many instances are taken out at once. Wider is faster, and leaves fewer to serve.",
            scenario.window_count(),
            1,
            count,
            0,
            int,
        ),
        Field(
            "Rollout",
            "Pause",
            "rollout.pause",
            "s",
            "How long the rollout waits after an instance, or a batch, before the next.",
            rule.pause,
            0,
            60,
            1,
            _seconds,
        ),
        Field(
            "Rollout",
            "Ready for",
            "rollout.min_ready",
            "s",
            "How long a returned instance must stay up before it counts as done.",
            rule.min_ready,
            0,
            60,
            1,
            _seconds,
        ),
        FieldChoice(
            "Rollout",
            "Advance",
            "rollout.advance",
            "Sliding: the next instance leaves as soon as one is back. Batch: the whole window "
            "waits for its last.",
            rule.advance,
            ("sliding", "batch"),
        ),
        Field(
            "Draining",
            "Drain timeout",
            "rollout.drain.timeout",
            "s",
            "How long requests in flight may take to finish before they are cut.",
            rule.drain.timeout,
            0,
            max(60.0, rule.drain.timeout * 2),
            1,
            _seconds,
        ),
        FieldChoice(
            "Draining",
            "Then",
            "rollout.drain.on_timeout",
            "What becomes of requests that are still there at the end of the drain: they are cut, "
            "waited for, or the rollout stops.",
            rule.drain.on_timeout,
            ("cut", "wait", "abort"),
        ),
    ]


def _traffic(scenario: Scenario, saved: Scenario) -> list[Field]:
    """How much arrives; of a log of requests there is nothing to edit."""
    rate, clients = scenario.traffic.rate, scenario.traffic.clients
    capacity_rps = scenario.service.capacity_rps
    if scenario.traffic.arrivals == "closed":
        assert clients is not None
        tip, key = "How many clients there are.", "traffic.clients.count"
        high = max(100.0, clients.count * 2)
        return [Field("Traffic", "Clients", key, "", tip, clients.count, 1, high, 0, int)]
    if isinstance(rate, TimestampsRate):
        return []
    if isinstance(rate, ConstantRate):
        label, key, value, tip = "Rate", "traffic.rate", rate.constant, "How much arrives."
    elif isinstance(rate, DailyRate):
        label, key, value = "Peak rate", "traffic.rate.daily.high", rate.daily.high
        tip = "How much arrives at the highest point of the day."
    elif isinstance(rate, TraceRate):
        tip = "What the trace is multiplied by."
        high, key = max(2.0, rate.scale * 2), "traffic.rate.scale"
        return [Field("Traffic", "Scale", key, "×", tip, rate.scale, 0.01, high, 2, _scale)]
    else:
        return [_steps_scale(scenario, saved)]
    high = max(value * 2, capacity_rps * 1.2)
    return [Field("Traffic", label, key, "/s", tip, value, 0.1, high, 1, _rate)]


def _steps_scale(scenario: Scenario, saved: Scenario) -> Field:
    """Steps of a rate are edited by what all of them are multiplied by."""
    now, was = scenario.rates().highest_rps(), saved.rates().highest_rps()
    value = now / was if was > 0 else 1.0
    steps = saved.rates().as_steps()

    def write(scale: float) -> object:
        return [[_seconds(time_s), _rate(rate_rps * scale)] for time_s, rate_rps in steps]

    tip = "What every step of the rate is multiplied by; 1 is as it was saved."
    key = "traffic.rate.steps"
    return Field("Traffic", "Scale", key, "×", tip, round(value, 3), 0.01, 2.0, 2, write)


def _fleet(scenario: Scenario) -> list[Field]:
    service, name = scenario.service, scenario.service_name
    group = "Fleet" if len(scenario.services) == 1 else f"Fleet of {name}"
    slots = Field(
        group,
        "Slots each",
        f"services.{name}.slots",
        "",
        "How many requests one instance serves at the same time.",
        service.slots,
        1,
        max(16, service.slots * 2),
        0,
        int,
    )
    if not isinstance(service.instances, int):
        return [slots]
    count = Field(
        group,
        "Instances",
        f"services.{name}.instances",
        "",
        "How many instances there are.",
        service.instances,
        1,
        max(48, service.instances * 2),
        0,
        int,
    )
    return [count, slots]


def _balancer(scenario: Scenario) -> list[Field | FieldChoice]:
    """How requests find an instance; a queue that is pulled from has nobody who sends."""
    name, balancer = scenario.service_name, scenario.service.balancer
    if balancer.policy == "pull":
        return []
    key = f"services.{name}.balancer"
    return [
        FieldChoice(
            "Balancer",
            "Policy",
            f"{key}.policy",
            "How the balancer chooses an instance for a request.",
            balancer.policy,
            SENDING,
        ),
        Field(
            "Balancer",
            "Learns after",
            f"{key}.propagation_delay",
            "s",
            "How long an instance that leaves the pool is still sent requests.",
            balancer.propagation_delay,
            0,
            max(30.0, balancer.propagation_delay * 2),
            1,
            _seconds,
        ),
        Field(
            "Balancer",
            "Slow start",
            f"{key}.slow_start",
            "s",
            "Over how long an instance that has returned is given its full share.",
            balancer.slow_start,
            0,
            max(60.0, balancer.slow_start * 2),
            1,
            _seconds,
        ),
    ]


def _objectives(scenario: Scenario) -> list[Field]:
    limits = scenario.objectives
    found = []
    if limits.latency_p99 is not None:
        found.append(
            Field(
                "Objectives",
                "p99 under",
                "objectives.latency_p99",
                "ms",
                "99 of 100 requests must be answered faster than this while the rollout goes on.",
                limits.latency_p99 * 1000,
                1,
                max(5000.0, limits.latency_p99 * 2000),
                0,
                _milliseconds,
            )
        )
    if limits.error_fraction is not None:
        found.append(
            Field(
                "Objectives",
                "Errors under",
                "objectives.error_fraction",
                "%",
                "No larger share of requests may fail while the rollout goes on.",
                limits.error_fraction * 100,
                0,
                max(5.0, limits.error_fraction * 200),
                2,
                _percent,
            )
        )
    if limits.duration is not None:
        found.append(
            Field(
                "Objectives",
                "Within",
                "objectives.duration",
                "min",
                "How long the rollout may take.",
                limits.duration / 60,
                0.1,
                max(30.0, limits.duration / 30),
                1,
                _minutes,
            )
        )
    return found


def parse_start_text(text: str) -> object:
    """A start as typed: a time of day, an offset, or a date and time.

    Raises:
        ValueError: It is none of them.
    """
    parse_start(text.strip())
    return text.strip()


def start_text(scenario: Scenario) -> str:
    """The start as it would be typed."""
    start = scenario.clock.start
    return format_duration(start) if isinstance(start, float) else start


def parse_windows_text(text: str) -> tuple[int, ...]:
    """Windows as typed, ``1, 2, 4``; empty for those that suit the fleet.

    Raises:
        ValueError: One is no count.
    """
    words = [word for word in text.replace(",", " ").split() if word]
    if not all(word.isdecimal() and len(word) < 10 and int(word) > 0 for word in words):
        raise ValueError("windows are counts with commas between, such as 1, 2, 4")
    return tuple(sorted({int(word) for word in words}))
