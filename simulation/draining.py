"""What ends a drain (model.md §6).

Enters: an instance that gets no new requests any more, and the rule. Leaves: when nothing is in
flight there, or the timeout has come and been acted on, whichever is first.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import simpy

from simulation.engines.plane import RequestPlane
from simulation.scenario import Drain


class StepFailed(Exception):
    """A step of the rollout failed; the message says which and why."""


def drain(
    env: simpy.Environment, plane: RequestPlane, instance: int, rule: Drain
) -> Generator[simpy.Event, Any, None]:
    """Waits until the instance is idle, at most as long as the rule lets it.

    Raises:
        StepFailed: Requests were in flight at the timeout, and the rule is to abort.
    """
    idle = plane.when_idle(instance)
    if rule.on_timeout == "wait":
        yield idle
        return
    yield idle | env.timeout(rule.timeout)
    left = plane.count(instance)
    if left == 0:
        return
    if rule.on_timeout == "abort":
        raise StepFailed(f"take out: {left} requests in flight after {rule.timeout:g} s of drain")
    plane.cut(instance)
