"""The fields that can be edited: key, unit, range and description of each.

The fields depend on the scenario. A field knows how its value is written into the file. Nothing
here knows a widget.
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
"""Maximum number of a slider's steps; each step is another number."""


@dataclass(frozen=True)
class Field:
    """A number that can be edited.

    Attributes:
        group: The heading of its group.
        label: The name.
        key: The key in the file.
        unit: The unit, shown beside the number.
        tip: What the number does, in a sentence.
        value: The present value.
        low: The smallest value.
        high: The largest value of the slider; a larger number may be typed.
        decimals: Number of decimals shown.
        write: Converts a value to the file's notation.
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
    """A word that can be chosen from a few.

    Attributes:
        group: The heading of its group.
        label: The name.
        key: The key in the file.
        tip: What the choice does, in a sentence.
        value: The present word.
        words: The words, as the file has them.
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
    """Return the fields of a scenario, in the order in which they are shown.

    Args:
        scenario: The edited scenario.
        saved: The saved scenario, to which the scale of rate steps refers.
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
            "How many instances are out at once. A wider window is faster and leaves less capacity.",
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
            "Sliding: the next instance leaves as soon as one is back. Batch: the next window "
            "begins when every instance of the last one is back.",
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
            "What happens to requests that are still in flight at the drain timeout: cut them, wait "
            "for them, or abort the rollout.",
            rule.drain.on_timeout,
            ("cut", "wait", "abort"),
        ),
    ]


def _traffic(scenario: Scenario, saved: Scenario) -> list[Field]:
    """Return the fields of the traffic; a log of requests has none."""
    rate, clients = scenario.traffic.rate, scenario.traffic.clients
    capacity_rps = scenario.service.capacity_rps
    if scenario.traffic.arrivals == "closed":
        assert clients is not None
        tip, key = "Number of clients that send requests.", "traffic.clients.count"
        high = max(100.0, clients.count * 2)
        return [Field("Traffic", "Clients", key, "", tip, clients.count, 1, high, 0, int)]
    if isinstance(rate, TimestampsRate):
        return []
    if isinstance(rate, ConstantRate):
        label, key, value, tip = (
            "Rate",
            "traffic.rate",
            rate.constant,
            "Requests per second that arrive.",
        )
    elif isinstance(rate, DailyRate):
        label, key, value = "Peak rate", "traffic.rate.daily.high", rate.daily.high
        tip = "Requests per second at the highest point of the day."
    elif isinstance(rate, TraceRate):
        tip = "Factor by which the rate of the trace is multiplied."
        high, key = max(2.0, rate.scale * 2), "traffic.rate.scale"
        return [Field("Traffic", "Scale", key, "×", tip, rate.scale, 0.01, high, 2, _scale)]
    else:
        return [_steps_scale(scenario, saved)]
    high = max(value * 2, capacity_rps * 1.2)
    return [Field("Traffic", label, key, "/s", tip, value, 0.1, high, 1, _rate)]


def _steps_scale(scenario: Scenario, saved: Scenario) -> Field:
    """Return the field that scales the steps of a rate, by a factor on all of them."""
    present_rps, saved_rps = scenario.rates().highest_rps(), saved.rates().highest_rps()
    value = present_rps / saved_rps if saved_rps > 0 else 1.0
    steps = saved.rates().as_steps()

    def write(scale: float) -> object:
        return [[_seconds(time_s), _rate(rate_rps * scale)] for time_s, rate_rps in steps]

    tip = "Factor by which every step of the rate is multiplied; 1 is the saved rate."
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
        "Number of requests that one instance serves at the same time.",
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
        "Number of instances in the fleet.",
        service.instances,
        1,
        max(48, service.instances * 2),
        0,
        int,
    )
    return [count, slots]


def _balancer(scenario: Scenario) -> list[Field | FieldChoice]:
    """Return the balancer's fields; a queue that instances pull from has none."""
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
            "How long the balancer still sends requests to an instance that leaves the pool.",
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
            "Time over which the share of a returned instance rises to the full one.",
            balancer.slow_start,
            0,
            max(60.0, balancer.slow_start * 2),
            1,
            _seconds,
        ),
    ]


def _objectives(scenario: Scenario) -> list[Field]:
    limits = scenario.objectives
    fields = []
    if limits.latency_p99 is not None:
        fields.append(
            Field(
                "Objectives",
                "p99 under",
                "objectives.latency_p99",
                "ms",
                "Limit of p99: 99 of 100 requests during the rollout must be answered faster.",
                limits.latency_p99 * 1000,
                1,
                max(5000.0, limits.latency_p99 * 2000),
                0,
                _milliseconds,
            )
        )
    if limits.error_fraction is not None:
        fields.append(
            Field(
                "Objectives",
                "Errors under",
                "objectives.error_fraction",
                "%",
                "Largest share of requests that may fail during the rollout.",
                limits.error_fraction * 100,
                0,
                max(5.0, limits.error_fraction * 200),
                2,
                _percent,
            )
        )
    if limits.duration is not None:
        fields.append(
            Field(
                "Objectives",
                "Within",
                "objectives.duration",
                "min",
                "Longest duration of the rollout.",
                limits.duration / 60,
                0.1,
                max(30.0, limits.duration / 30),
                1,
                _minutes,
            )
        )
    return fields


def parse_start_text(text: str) -> object:
    """Return a start as typed: a time of day, an offset, or a date and time.

    Raises:
        ValueError: The text is none of them.
    """
    parse_start(text.strip())
    return text.strip()


def start_text(scenario: Scenario) -> str:
    """Return the start as the user would type it."""
    start = scenario.clock.start
    return format_duration(start) if isinstance(start, float) else start


def parse_windows_text(text: str) -> tuple[int, ...]:
    """Return windows as typed, such as ``1, 2, 4``; empty for the defaults of the fleet's size.

    Raises:
        ValueError: A word is not a count.
    """
    words = [word for word in text.replace(",", " ").split() if word]
    if not all(word.isdecimal() and len(word) < 10 and int(word) > 0 for word in words):
        raise ValueError("windows are counts with commas between, such as 1, 2, 4")
    return tuple(sorted({int(word) for word in words}))
