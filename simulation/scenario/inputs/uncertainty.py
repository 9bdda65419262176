"""Uncertain inputs: the scenario with each of them multiplied by its factor (model.md §14).

`uncertain: 10%` stands at the traffic, at a service, or at its steps. Its factor is lognormal with the
median 1, and lies between 1/1.1 and 1.1 with a probability of 90 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from simulation.scenario.inputs.scaling import scale_duration, scale_rate
from simulation.scenario.inputs.steps import SixSteps, StepDurations
from simulation.scenario.rates import RateTable
from simulation.scenario.traffic import StepsRate

if TYPE_CHECKING:
    from simulation.scenario.model import Scenario
    from simulation.scenario.traffic import Traffic

NORMAL_95, NORMAL_999 = 1.6448536269514722, 3.090232306167813
"""The 95th and the 99.9th percentile of the standard normal distribution."""

Deviate = Callable[[int], float]
"""Returns the standard normal deviate of an input: 0 is the traffic, 2k + 1 service k, 2k + 2 its steps."""


def log_spread(uncertain: float) -> float:
    """Return the standard deviation of the logarithm of a factor: ln(1 + uncertain)/z₀.₉₅."""
    return math.log1p(uncertain) / NORMAL_95


def has_uncertain(scenario: Scenario) -> bool:
    """Return whether any input of the scenario is uncertain, the day that is drawn included."""
    return scenario.drawn_days() is not None or _has_factors(scenario)


def _has_factors(scenario: Scenario) -> bool:
    services = scenario.services.values()
    return scenario.traffic.uncertain > 0 or any(
        service.uncertain > 0 or service.steps.uncertain > 0 for service in services
    )


def multiply_uncertain(scenario: Scenario, deviate: Deviate) -> Scenario:
    """Return the scenario with each uncertain input multiplied by its factor.

    Args:
        scenario: The scenario; without an uncertain input it is returned as it is.
        deviate: How many standard deviations the logarithm of each input's factor lies above 0.
    """
    if not _has_factors(scenario):
        return scenario
    traffic = scenario.traffic
    if traffic.uncertain > 0:
        traffic = _multiply_rate(traffic, _factor(traffic.uncertain, deviate(0)))
    services = {}
    for number, (name, service) in enumerate(scenario.services.items()):
        times = _factor(service.uncertain, deviate(2 * number + 1))
        steps = _factor(service.steps.uncertain, deviate(2 * number + 2))
        traffic = _multiply_own_times(traffic, name, times)
        services[name] = service.model_copy(
            update={
                "service_time": scale_duration(service.service_time, times),
                "steps": _multiply_steps(service.steps, steps),
            }
        )
    return scenario.model_copy(update={"traffic": traffic, "services": services})


def at_quantile(scenario: Scenario, z: float) -> Scenario:
    """Return the scenario with every factor at the quantile of a standard normal deviate.

    Where a day is drawn, the traffic is the same quantile of the days at each time of day.

    Args:
        scenario: The scenario.
        z: The deviate, such as `NORMAL_95` for a rate, service times and steps at their 95th percentile.
    """
    days = scenario.drawn_days()
    if days is not None:
        share = (1 + math.erf(z / math.sqrt(2))) / 2
        rate = steps_of(days.quantile(share).multiply(math.exp(days.spread * z)))
        scenario = on_day(scenario, scenario.traffic.model_copy(update={"rate": rate}))
    return multiply_uncertain(scenario, lambda _number: z)


def steps_of(day: RateTable) -> StepsRate:
    """Return rates that never end as steps, which hold the same numbers."""
    return StepsRate.model_construct(steps=tuple(day.as_steps()))


def on_day(scenario: Scenario, traffic: Traffic) -> Scenario:
    """Return the scenario with the traffic of one day in place of the days that are drawn.

    Args:
        scenario: A scenario in which each replication draws a day.
        traffic: Its traffic on that day, on the clock of the drawn days.
    """
    clock = scenario.clock.model_copy(update={"start": scenario.start_s()})
    return scenario.model_copy(update={"traffic": traffic, "clock": clock})


def _factor(uncertain: float, deviate: float) -> float:
    return math.exp(log_spread(uncertain) * deviate)


def _multiply_rate(traffic: Traffic, by: float) -> Traffic:
    """Multiply the rate; the clients of closed traffic, which has none, think so much faster."""
    if traffic.arrivals != "closed":
        return traffic.model_copy(update={"rate": scale_rate(traffic.rate, by)})
    assert traffic.clients is not None
    think_time = scale_duration(traffic.clients.think_time, 1.0 / by)
    clients = traffic.clients.model_copy(update={"think_time": think_time})
    return traffic.model_copy(update={"clients": clients})


def _multiply_own_times(traffic: Traffic, service: str, by: float) -> Traffic:
    """Multiply the service times that classes of requests have of their own at a service."""
    classes = {}
    for name, kind in traffic.classes.items():
        times = {
            at: scale_duration(duration, by) if at == service else duration
            for at, duration in kind.service_time.items()
        }
        classes[name] = kind.model_copy(update={"service_time": times})
    return traffic.model_copy(update={"classes": classes})


def _multiply_steps(steps: StepDurations, by: float) -> StepDurations:
    """Multiply every step: its own duration and its shared work."""

    def multiply(model: SixSteps, scale: Callable[[Any], Any]) -> dict[str, Any]:
        return {
            "return_" if name == "return" else name: scale(value)
            for name, value in model.in_order()
        }

    shared = steps.shared.model_copy(update=multiply(steps.shared, lambda work_s: work_s * by))
    own = multiply(steps, lambda duration: scale_duration(duration, by))
    return steps.model_copy(update={**own, "shared": shared})
