"""Assumptions of a scenario about the world, and the scenario with one assumption scaled.

Assumptions are rates, service times and their spread, step durations, lags, and how cold and how
wrong a new version is. What a person decides (windows, timeouts, pauses, policies) is no assumption.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from simulation.scenario.distributions import (
    Gamma,
    Lognormal,
    Shifted,
    Weibull,
)
from simulation.scenario.inputs.scaling import multiply_field, scale_duration, scale_rate
from simulation.scenario.inputs.steps import StepDurations
from simulation.scenario.model import Scenario
from simulation.scenario.traffic import ConstantRate, DailyRate, StepsRate, TraceRate


@dataclass(frozen=True)
class Assumption:
    """One assumption about the world.

    Attributes:
        key: Its key in the scenario's file, with ``spread of`` in front where the assumption is how
            much a duration varies.
        place: The fields that lead to its value, from the scenario on.
        scale: Returns the value multiplied by a factor.
    """

    key: str
    place: tuple[str, ...]
    scale: Callable[[Any, float], Any]

    def off_by(self, scenario: Scenario, factor: float) -> Scenario:
        """Return the scenario with this assumption multiplied by ``factor``."""
        changed = _changed(scenario, self.place, lambda value: self.scale(value, factor))
        assert isinstance(changed, Scenario)
        return changed


def assumptions_of(scenario: Scenario) -> tuple[Assumption, ...]:
    """Return all assumptions of a scenario; what it does not have (no lag, say) is left out."""
    return tuple([*_traffic(scenario), *_services(scenario)])


def _traffic(scenario: Scenario) -> Iterator[Assumption]:
    traffic = scenario.traffic
    if traffic.arrivals == "closed":
        yield Assumption(
            "traffic.clients.think_time", ("traffic", "clients", "think_time"), scale_duration
        )
    elif isinstance(traffic.rate, ConstantRate | StepsRate | DailyRate | TraceRate):
        yield Assumption("traffic.rate", ("traffic", "rate"), scale_rate)
    if traffic.arrivals == "bursty" and traffic.dispersion > 1:
        yield Assumption("traffic.dispersion", ("traffic", "dispersion"), _scale_over_one)
    for name, request_class in traffic.classes.items():
        place = ("traffic", "classes", name)
        if request_class.client_timeout is not None:
            yield _number((*place, "client_timeout"))
        for service, duration in request_class.service_time.items():
            yield from _duration((*place, "service_time", service), duration)


def _services(scenario: Scenario) -> Iterator[Assumption]:
    for name, service in scenario.services.items():
        place = ("services", name)
        yield from _duration((*place, "service_time"), service.service_time)
        if name in scenario.rolled_services():
            for step, duration in service.steps.in_order():
                field = "return_" if step == "return" else step
                yield from _duration((*place, "steps", field), duration)
            yield from _common_steps((*place, "steps"), service.steps)
            yield from _new_version(place, service.versions.new)
        for key in ("propagation_delay", "return_delay", "slow_start"):
            if getattr(service.balancer, key) > 0:
                yield _number((*place, "balancer", key))
        if service.crashes is not None:
            yield _number((*place, "crashes", "mtbf"))
            yield from _duration((*place, "crashes", "repair"), service.crashes.repair)


def _common_steps(place: tuple[str, ...], steps: StepDurations) -> Iterator[Assumption]:
    """Yield the assumptions about what instances have in common in their steps."""
    for step, work_s in steps.shared.in_order():
        if work_s > 0:
            field = "return_" if step == "return" else step
            yield _number((*place, "shared", field))
    if steps.correlation > 0:
        where = (*place, "correlation")
        yield Assumption(".".join(where), where, lambda value, by: min(1.0, value * by))


def _new_version(place: tuple[str, ...], new: Any) -> Iterator[Assumption]:
    place = (*place, "versions", "new")
    if new.service_factor != 1:
        yield _number((*place, "service_factor"))
    if new.cold.factor != 1:
        factor = (*place, "cold", "factor")
        yield Assumption(".".join(factor), factor, _scale_over_one)
        yield _number((*place, "cold", "decay" if new.cold.requests is None else "requests"))
    for key in ("error_fraction", "verify_fails", "start_fails"):
        if getattr(new, key) > 0:
            where = (*place, key)
            yield Assumption(".".join(where), where, lambda value, by: min(1.0, value * by))


def _number(place: tuple[str, ...]) -> Assumption:
    key = ".".join(place).removesuffix("_")
    return Assumption(key, place, lambda value, by: value * by)


def _duration(place: tuple[str, ...], duration: Any) -> Iterator[Assumption]:
    """Yield the assumption of a duration, and of its spread where the distribution has one."""
    if duration.mean_s() <= 0:
        return
    key = ".".join(place).replace("return_", "return")
    yield Assumption(key, place, scale_duration)
    if scale_spread(duration, 1.1) is not duration:
        yield Assumption(f"spread of {key}", place, scale_spread)


def scale_spread(duration: Any, by: float) -> Any:
    """Return a distribution of the same mean whose coefficient of variation is multiplied by ``by``.

    A distribution without a spread is returned unchanged. The shape of a Weibull is divided by
    ``by``, because its coefficient of variation falls as its shape grows.
    """
    match duration:
        case Lognormal(lognormal=shape) if shape.sigma() > 0:
            cv = math.sqrt(math.expm1(shape.sigma() ** 2))
            changed = shape.model_copy(update={"cv": cv * by, "p99": None})
            return duration.model_copy(update={"lognormal": changed})
        case Gamma(gamma=shape):
            return duration.model_copy(update={"gamma": multiply_field(shape, "cv", by)})
        case Weibull(weibull=shape):
            return duration.model_copy(update={"weibull": multiply_field(shape, "shape", 1 / by)})
        case Shifted(shifted=shape):
            inner = scale_spread(shape.of, by)
            if inner is shape.of:
                return duration
            return duration.model_copy(update={"shifted": shape.model_copy(update={"of": inner})})
    return duration


def _scale_over_one(value: float, by: float) -> float:
    """Multiply the distance of a factor from 1, which is what matters of a factor."""
    return 1 + (value - 1) * by


def _changed(node: Any, place: tuple[str, ...], change: Callable[[Any], Any]) -> Any:
    """Return a copy of a part of a scenario with the value at a place changed."""
    if not place:
        return change(node)
    if isinstance(node, dict):
        return {**node, place[0]: _changed(node[place[0]], place[1:], change)}
    inner = _changed(getattr(node, place[0]), place[1:], change)
    return node.model_copy(update={place[0]: inner})
