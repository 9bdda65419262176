"""What a scenario assumes about the world, and the same scenario with one of it off by a factor.

Enters: a scenario. Leaves: its assumptions by their keys, each of which can be scaled: rates, service
times and their spread, step durations, lags, how cold and how wrong a new version is. What a person
decides (windows, timeouts, pauses, policies) is no assumption.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from simulation.scenario.distributions import (
    Constant,
    Empirical,
    Exponential,
    Gamma,
    Lognormal,
    Shifted,
    Weibull,
)
from simulation.scenario.model import Scenario
from simulation.scenario.traffic import ConstantRate, DailyRate, StepsRate, TraceRate


@dataclass(frozen=True)
class Assumption:
    """One thing that is taken to be so.

    Attributes:
        key: Where it stands in the scenario's file, with ``spread of`` before it where it is how much
            a duration varies.
        place: The fields that lead to it, from the scenario on.
        scaled: The value there, off by a factor.
    """

    key: str
    place: tuple[str, ...]
    scaled: Callable[[Any, float], Any]

    def off_by(self, scenario: Scenario, factor: float) -> Scenario:
        """The scenario in which this is ``factor`` times what it says."""
        changed = _changed(scenario, self.place, lambda value: self.scaled(value, factor))
        assert isinstance(changed, Scenario)
        return changed


def assumptions_of(scenario: Scenario) -> tuple[Assumption, ...]:
    """All that can be off in a scenario; what is not there (no lag, nothing cold) is left out."""
    return tuple([*_traffic(scenario), *_services(scenario)])


def _traffic(scenario: Scenario) -> Iterator[Assumption]:
    traffic = scenario.traffic
    if traffic.arrivals == "closed":
        yield Assumption(
            "traffic.clients.think_time", ("traffic", "clients", "think_time"), scale_duration
        )
    elif isinstance(traffic.rate, ConstantRate | StepsRate | DailyRate | TraceRate):
        yield Assumption("traffic.rate", ("traffic", "rate"), _scaled_rate)
    if traffic.arrivals == "bursty" and traffic.dispersion > 1:
        yield Assumption("traffic.dispersion", ("traffic", "dispersion"), _scaled_over_one)
    for name, one in traffic.classes.items():
        place = ("traffic", "classes", name)
        if one.client_timeout is not None:
            yield _number((*place, "client_timeout"))
        for service, duration in one.service_time.items():
            yield from _duration((*place, "service_time", service), duration)


def _services(scenario: Scenario) -> Iterator[Assumption]:
    for name, service in scenario.services.items():
        place = ("services", name)
        yield from _duration((*place, "service_time"), service.service_time)
        if name in scenario.rolled_services():
            for step, duration in service.steps.in_order():
                field = "return_" if step == "return" else step
                yield from _duration((*place, "steps", field), duration)
            yield from _new_version(place, service.versions.new)
        for key in ("propagation_delay", "slow_start"):
            if getattr(service.balancer, key) > 0:
                yield _number((*place, "balancer", key))
        if service.crashes is not None:
            yield _number((*place, "crashes", "mtbf"))
            yield from _duration((*place, "crashes", "repair"), service.crashes.repair)


def _new_version(place: tuple[str, ...], new: Any) -> Iterator[Assumption]:
    place = (*place, "versions", "new")
    if new.service_factor != 1:
        yield _number((*place, "service_factor"))
    if new.cold.factor != 1:
        factor = (*place, "cold", "factor")
        yield Assumption(".".join(factor), factor, _scaled_over_one)
        yield _number((*place, "cold", "decay"))
    for key in ("error_fraction", "verify_fails", "start_fails"):
        if getattr(new, key) > 0:
            where = (*place, key)
            yield Assumption(".".join(where), where, lambda value, by: min(1.0, value * by))


def _number(place: tuple[str, ...]) -> Assumption:
    return Assumption(".".join(place), place, lambda value, by: value * by)


def _duration(place: tuple[str, ...], duration: Any) -> Iterator[Assumption]:
    """How long something takes, and how much that varies where the kind says so."""
    if duration.mean_s() <= 0:
        return
    key = ".".join(place).replace("return_", "return")
    yield Assumption(key, place, scale_duration)
    if scale_spread(duration, 1.1) is not duration:
        yield Assumption(f"spread of {key}", place, scale_spread)


def scale_duration(duration: Any, by: float) -> Any:
    """A distribution of which every value takes ``by`` times as long."""
    match duration:
        case Constant() | Exponential():
            [field] = type(duration).model_fields
            return duration.model_copy(update={field: getattr(duration, field) * by})
        case Lognormal(lognormal=shape):
            update = {"mean": shape.mean * by, "p99": shape.p99 and shape.p99 * by}
            return duration.model_copy(update={"lognormal": shape.model_copy(update=update)})
        case Gamma(gamma=shape):
            return duration.model_copy(update={"gamma": _times(shape, "mean", by)})
        case Weibull(weibull=shape):
            return duration.model_copy(update={"weibull": _times(shape, "mean", by)})
        case Empirical(empirical=samples):
            return duration.model_copy(update={"empirical": tuple(by * one for one in samples)})
        case Shifted(shifted=shape):
            update = {"by": shape.by * by, "of": scale_duration(shape.of, by)}
            return duration.model_copy(update={"shifted": shape.model_copy(update=update)})
    raise AssertionError(duration)


def scale_spread(duration: Any, by: float) -> Any:
    """The same mean with a coefficient of variation ``by`` times as large; itself where it has none.

    Of a Weibull, whose cv falls as its shape grows, the shape is divided by it.
    """
    match duration:
        case Lognormal(lognormal=shape) if shape.sigma() > 0:
            cv = math.sqrt(math.expm1(shape.sigma() ** 2))
            changed = shape.model_copy(update={"cv": cv * by, "p99": None})
            return duration.model_copy(update={"lognormal": changed})
        case Gamma(gamma=shape):
            return duration.model_copy(update={"gamma": _times(shape, "cv", by)})
        case Weibull(weibull=shape):
            return duration.model_copy(update={"weibull": _times(shape, "shape", 1 / by)})
        case Shifted(shifted=shape):
            inner = scale_spread(shape.of, by)
            if inner is shape.of:
                return duration
            return duration.model_copy(update={"shifted": shape.model_copy(update={"of": inner})})
    return duration


def _scaled_rate(rate: Any, by: float) -> Any:
    match rate:
        case ConstantRate():
            return _times(rate, "constant", by)
        case StepsRate(steps=steps):
            return rate.model_copy(update={"steps": tuple((at, rps * by) for at, rps in steps)})
        case DailyRate(daily=shape):
            update = {"low": shape.low * by, "high": shape.high * by}
            return rate.model_copy(update={"daily": shape.model_copy(update=update)})
    return _times(rate, "scale", by)


def _scaled_over_one(value: float, by: float) -> float:
    """What matters of a factor is what it is above (or below) 1."""
    return 1 + (value - 1) * by


def _times(model: BaseModel, field: str, by: float) -> BaseModel:
    return model.model_copy(update={field: getattr(model, field) * by})


def _changed(node: Any, place: tuple[str, ...], change: Callable[[Any], Any]) -> Any:
    """A copy of a part of a scenario in which the value at a place is another."""
    if not place:
        return change(node)
    if isinstance(node, dict):
        return {**node, place[0]: _changed(node[place[0]], place[1:], change)}
    inner = _changed(getattr(node, place[0]), place[1:], change)
    return node.model_copy(update={place[0]: inner})
