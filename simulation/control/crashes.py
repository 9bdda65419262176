"""Instances that fail on their own, and are repaired (model.md §5).

Enters: how often, and how long it takes. Leaves: crashes and repairs of serving instances. The k-th
crash of an instance comes at a moment that depends on nothing else, so that all candidates see the
same; one that comes while the instance is not serving passes by. As nothing is remembered between
crashes, the time that an instance is up until its next one has the same distribution either way.
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


def crashes(
    env: simpy.Environment,
    instances: Instances,
    instance: int,
    *,
    rule: Crashes,
    draws: Draws,
    number: int,
) -> Generator[simpy.Event, Any, None]:
    """One instance's crashes, for ever.

    Args:
        env: The simulation.
        instances: Those of its service.
        instance: Its number there.
        rule: How often, and how long the repair takes.
        draws: Those of the replication.
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
    """It is up again after a while, unless the rollout has taken it."""
    taken = instances.when_moved(instance)
    yield env.timeout(repair_s) | taken
    if not taken.triggered:
        instances.repair(instance)
