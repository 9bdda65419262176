"""Divide the instances of a fleet into waves, as rolling deployments and canaries do."""

from __future__ import annotations

import math
from collections.abc import Sequence

from executor.plan.model import Gate, Wave


def waves_for(
    instances: Sequence[str], window: int, advance: str, pause_s: float
) -> tuple[Wave, ...]:
    """The waves in which a rolling deployment goes through its instances.

    Sliding is one wave with `parallel` the window; its pause, between a return and the next start
    in its place, is the plan's own. Batch is waves of the window's size, the last with what is
    left, with the pause as the gate between them.

    Args:
        instances: Names, in the order in which they are rolled.
        window: How many may be under way at once, at least 1.
        advance: ``sliding`` or ``batch``.
        pause_s: Seconds between waves; 0 puts no gate there.
    """
    if advance == "sliding":
        return (Wave(instances=tuple(instances), parallel=window),)
    between = Gate(pause_s=pause_s) if pause_s > 0 else None
    return tuple(
        Wave(
            instances=tuple(instances[first : first + window]),
            parallel=min(window, len(instances) - first),
            gate=between if first + window < len(instances) else None,
        )
        for first in range(0, len(instances), window)
    )


def canary_waves(
    instances: Sequence[str],
    steps: Sequence[tuple[float, Gate]],
    *,
    window: int,
    advance: str,
    pause_s: float,
) -> tuple[Wave, ...]:
    """The waves of a canary: so much of the fleet, a bake, more, a bake, then the rest rolling.

    Args:
        instances: Names, in the order in which they are rolled.
        steps: The share of the fleet that each step comes to, and the bake after it.
        window: How many may be under way at once.
        advance: Of the rest, ``sliding`` or ``batch``.
        pause_s: Of the rest, between its waves.
    """
    counts = canary_counts([share for share, _ in steps], len(instances))
    waves: list[Wave] = []
    done = 0
    for count, (_, bake) in zip(counts, steps, strict=True):
        if count > done:
            names = tuple(instances[done:count])
            waves.append(Wave(instances=names, parallel=min(window, len(names)), gate=bake))
        else:  # no more instances than before: the last one's bake is followed by another
            waves[-1] = waves[-1].model_copy(update={"gate": _one_bake(waves[-1].gate, bake)})
        done = max(done, count)
    return (*waves, *waves_for(instances[done:], window, advance, pause_s))


def _one_bake(first: Gate | None, second: Gate) -> Gate:
    """Two bakes of the same instances as one: as long as both, with the stricter limits."""
    if first is None:
        return second

    def stricter(one: float | None, other: float | None) -> float | None:
        return min((limit for limit in (one, other) if limit is not None), default=None)

    return second.model_copy(
        update={
            "pause_s": first.pause_s + second.pause_s,
            "error_fraction": stricter(first.error_fraction, second.error_fraction),
            "latency_p99_s": stricter(first.latency_p99_s, second.latency_p99_s),
        }
    )


def canary_counts(shares: Sequence[float], count: int) -> list[int]:
    """How many instances have the new version after each step of a canary, as Argo Rollouts rounds.

    The nearest whole number, ties up; at least one, and at least one keeps the old version.
    """
    return [
        min(max(math.floor(round(share * count, 9) + 0.5), 1), max(count - 1, 1))
        for share in shares
    ]
