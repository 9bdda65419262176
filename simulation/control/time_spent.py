"""The use of a rollout's time, along the chain of phases that determined its end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from operator import attrgetter
from typing import Literal, NamedTuple

from simulation.results.run_result import Waits

SpentOn = Literal["drain", "step", "pause", "gate"]


class Phase(NamedTuple):
    """A time in which an instance or a service drained, went through a step, or waited.

    Attributes:
        cause: ``pause`` is a pause that the rule asks for; ``gate`` is `min_ready`, a bake or a wait.
        instance: The instance; None where the phase is the whole service's.
        begin_s: Begin, in seconds from the start.
        end_s: End, in seconds from the start.
    """

    cause: SpentOn
    instance: int | None
    begin_s: float
    end_s: float


def waits_of(phases: Sequence[Phase], begun_s: float, ended_s: float) -> Waits:
    """Return what the time between two moments was spent on; the parts add up to that time.

    The chain goes backwards: from the phase that ended last to the latest phase that had ended when
    it began, and so on. Of several phases that ended at the same moment, the same instance's is
    taken, else a pause, else the last in the list. The time between two phases of the chain counts
    as waiting at a gate.
    """
    spent = dict.fromkeys(("drain", "step", "pause"), 0.0)
    left = [part for part in phases if part.end_s > part.begin_s]
    left.sort(key=attrgetter("end_s"))
    limit, instance = ended_s, None
    while limit > begun_s:
        while left and left[-1].end_s > limit:
            left.pop()
        if not left:
            break
        latest_s = left[-1].end_s
        latest = [*takewhile(lambda part: part.end_s == latest_s, reversed(left))][::-1]  # noqa: B023 - used at once
        own = [part for part in latest if part.instance == instance and instance is not None]
        chosen = (own or [part for part in latest if part.cause == "pause"] or latest)[-1]
        if chosen.cause != "gate":
            spent[chosen.cause] += chosen.end_s - chosen.begin_s
        limit, instance = chosen.begin_s, chosen.instance
    gate_s = ended_s - begun_s - sum(spent.values())
    return Waits(spent["drain"], spent["step"], float(gate_s), spent["pause"])


def sum_waits(parts: Sequence[Waits]) -> Waits:
    """Return the sums over services that were rolled one after the other."""
    return Waits(
        drain_s=sum(part.drain_s for part in parts),
        step_s=sum(part.step_s for part in parts),
        gate_s=sum(part.gate_s for part in parts),
        pause_s=sum(part.pause_s for part in parts),
    )
