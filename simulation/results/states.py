"""The states of an instance, and the intervals that it spent in each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What an instance is doing: one way round, and the three where it leaves it.

    A second instance, of surge or blue/green, is absent before it is made, and the first one after
    it has been removed.
    """

    SERVING = "serving"
    DRAINING = "draining"
    STOPPING = "stopping"
    DEPLOYING = "deploying"
    VERIFYING = "verifying"
    STARTING = "starting"
    RETURNING = "returning"
    FAILED = "failed"
    CRASHED = "crashed"
    ABSENT = "absent"


@dataclass(frozen=True)
class StateInterval:
    """One instance in one state, from ``begin_s`` to ``end_s`` (0 = the rollout starts)."""

    instance: int
    state: State
    begin_s: float
    end_s: float
