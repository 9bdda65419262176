"""Instances that fail on their own, and are repaired (model.md §5).

Enters: how often, and how long it takes. Leaves: crashes and repairs of serving instances. The k-th
crash of an instance belongs to it and to k, whatever the rollout does meanwhile: one that would
have come while the instance is not serving passes by.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator
from typing import Any

import simpy

from simulation.draws import Draws
from simulation.fleet import State
from simulation.instances import Instances
from simulation.scenario import Crashes


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
        up_s = -rule.mtbf * math.log1p(-draws.uniform("crash", number, crash))
        yield env.timeout(up_s)
        if instances.state(instance) is not State.SERVING:
            continue
        instances.crash(instance)
        taken = instances.when_moved(instance)
        repair_s = float(rule.repair.quantile_s(draws.uniform("repair", number, crash)))
        yield env.timeout(repair_s) | taken
        if not taken.triggered:
            instances.repair(instance)
