"""How a tool rolls: one description that every tool's settings are read into and written from.

Simulation, plans, advice, imports and exports all work with a `Manner`, so they cannot disagree about a
tool. The rules of each tool, with their sources, are in its dialect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class FailureRule:
    """The reaction of a tool to an instance that fails.

    Attributes:
        rule: halt: nothing new begins, and what is under way is finished. abandon: the rest of the batch
            is left half done. budget: the failed instance keeps its place, and the others go on until
            no place is left. continue: the rollout goes on. rollback: instances go back.
        tolerated: With continue: the most instances that may fail, as a count or as a percentage as it
            is written. Otherwise 0.
        stop_when_batch_failed: With continue: a batch in which every instance failed stops the rollout.
    """

    rule: Literal["halt", "abandon", "budget", "continue", "rollback"] = "halt"
    tolerated: int | str = 0
    stop_when_batch_failed: bool = False


@dataclass(frozen=True)
class Deadline:
    """The longest time that a tool waits for an instance.

    Attributes:
        after_s: The time, in seconds.
        kind: progress: counted from the last instance that became available. healthy: counted from the
            beginning of each instance.
    """

    after_s: float
    kind: Literal["progress", "healthy"]


@dataclass(frozen=True)
class Manner:
    """How a fleet of a known number of instances is rolled.

    Counts are resolved by the tool's own rounding.

    Attributes:
        window: The most instances of the fleet that are out of the pool at once for the rollout. 0 only
            with a surge.
        surge: The most instances beyond the fleet.
        min_available: The fewest instances that the tool leaves available; 0 where it does not count them.
        window_written: The window as the settings have it, such as ``25%``; it survives a change of the
            fleet's size. None: the count is what is written.
        surge_written: The same for the surge.
        replacement: in_place: an instance is stopped, then started again. beside: a new instance is
            started as soon as an old one is marked for removal, whatever the surge.
        advance: sliding: the next begins when one is done. batch: when the whole batch is done.
        batches: The sizes of the batches where they differ, which add up to the fleet; empty where each is
            the window. Only with batch.
        order: listed: as the inventory lists them. reverse: the last first. any: the tool chooses.
        pause_s: The wait after each instance (sliding) or between batches (batch), in seconds.
        pauses_after_last: Whether the pause also follows the last batch, as in Kamal.
        min_ready_s: How long an instance must be ready before it counts, in seconds.
        return_lag_s: How long after that the balancer sends to it, in seconds.
        on_failure: What happens when an instance fails.
        deadline: The longest wait for an instance; None: none.
        counts_terminating: Whether instances that are being removed count against window and surge.
        done_when: available: the rollout is done when the last new instance is. old_ended: when the last
            old one has ended.
    """

    window: int
    surge: int = 0
    min_available: int = 0
    window_written: int | str | None = None
    surge_written: int | str | None = None
    replacement: Literal["in_place", "beside"] = "in_place"
    advance: Literal["sliding", "batch"] = "sliding"
    batches: tuple[int, ...] = ()
    order: Literal["listed", "reverse", "any"] = "listed"
    pause_s: float = 0.0
    pauses_after_last: bool = False
    min_ready_s: float = 0.0
    return_lag_s: float = 0.0
    on_failure: FailureRule = FailureRule()
    deadline: Deadline | None = None
    counts_terminating: bool = True
    done_when: Literal["available", "old_ended"] = "available"
