"""The states of an instance, and the intervals that an instance spends in them."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """The state of an instance: the cycle of a rollout, then failed, crashed and absent.

    A second instance (surge, blue/green) is absent before it is made. The first instance is absent
    after it has been removed.
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


class StateInterval(NamedTuple):
    """One instance in one state, from ``begin_s`` to ``end_s`` (0 = the rollout starts).

    A tuple, because a run makes some hundreds of these and a frozen dataclass takes three times as long.
    """

    instance: int
    state: State
    begin_s: float
    end_s: float
