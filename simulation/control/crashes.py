"""Crashes: instances that fail on their own and are repaired (model.md §5).

The k-th crash of an instance comes at a moment that depends on nothing but the seed, so that all
candidates see the same crashes. A crash that comes while the instance is not serving has no effect.
Because times between crashes are exponential, which has no memory, the time that an instance is up
until its next crash has the same distribution as if it were drawn anew.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator
from typing import Any

import simpy

from simulation.control.instances import Instances
from simulation.requests.draws import Draws
from simulation.results.states import State
from simulation.scenario.model import Crashes


def crash_and_repair(
    env: simpy.Environment,
    instances: Instances,
    instance: int,
    *,
    rule: Crashes,
    draws: Draws,
    number: int,
) -> Generator[simpy.Event, Any, None]:
    """Crash and repair one instance, again and again.

    Args:
        env: The simulation.
        instances: The instances of the service.
        instance: The instance's number within the service.
        rule: The mean time between crashes, and the duration of a repair.
        draws: The random numbers of the replication.
        number: The instance's number over all services.
    """
    for crash in itertools.count():
        yield env.timeout(-rule.mtbf * math.log1p(-draws.uniform("crash", number, crash)))
        if instances.state(instance) is State.SERVING:
            instances.crash(instance)
            repair_s = float(rule.repair.quantile_s(draws.uniform("repair", number, crash)))
            env.process(_repair(env, instances, instance, repair_s))


def _repair(
    env: simpy.Environment, instances: Instances, instance: int, repair_s: float
) -> Generator[simpy.Event, Any, None]:
    """Start the instance again after ``repair_s``, unless the rollout takes it out before."""
    taken_out = instances.when_moved(instance)
    yield env.timeout(repair_s) | taken_out
    if not taken_out.triggered:
        instances.repair(instance)
