"""Where a rollout's time went, along the chain that determined its end.

Enters: the phases in which instances drained, went through steps, or waited. Leaves: a `Waits`,
whose parts add up to the duration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from simulation.results.run_result import Waits

SpentOn = Literal["drain", "step", "pause", "gate"]


@dataclass(frozen=True)
class Phase:
    """A stretch of time, and what it was spent on.

    Attributes:
        cause: A pause is one that the rule asks for; a gate is `min_ready`, a bake, a wait.
        instance: Whose it is, None where it is the whole service's.
        begin_s: From when.
        end_s: Until when.
    """

    cause: SpentOn
    instance: int | None
    begin_s: float
    end_s: float


def waits_of(phases: Sequence[Phase], begun_s: float, ended_s: float) -> Waits:
    """Where the time between two moments went.

    From what ended last back to what ended when that began, and so on: the same instance's phase
    before, else the pause whose end it waited for, else whatever was done last. What lies between
    was spent waiting, at a gate.
    """
    spent = dict.fromkeys(("drain", "step", "pause"), 0.0)
    left = sorted((one for one in phases if one.end_s > one.begin_s), key=lambda one: one.end_s)
    limit, instance = ended_s, None
    while limit > begun_s:
        while left and left[-1].end_s > limit:
            left.pop()
        if not left:
            break
        latest = [one for one in left if one.end_s == left[-1].end_s]
        own = [one for one in latest if one.instance == instance and instance is not None]
        chosen = (own or [one for one in latest if one.cause == "pause"] or latest)[-1]
        if chosen.cause != "gate":
            spent[chosen.cause] += chosen.end_s - chosen.begin_s
        limit, instance = chosen.begin_s, chosen.instance
    gate_s = ended_s - begun_s - sum(spent.values())
    return Waits(spent["drain"], spent["step"], float(gate_s), spent["pause"])


def together(parts: Sequence[Waits]) -> Waits:
    """The sum over services that were rolled one after the other."""
    return Waits(
        drain_s=sum(one.drain_s for one in parts),
        step_s=sum(one.step_s for one in parts),
        gate_s=sum(one.gate_s for one in parts),
        pause_s=sum(one.pause_s for one in parts),
    )
