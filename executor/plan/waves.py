"""Divide the instances of a fleet into waves, as rolling deployments and canaries do."""

from __future__ import annotations

import math
from collections.abc import Sequence

from executor.plan.model import Gate, Wave


def waves_for(
    instances: Sequence[str], window: int, advance: str, pause_s: float
) -> tuple[Wave, ...]:
    """Return the waves of a rolling deployment.

    Sliding is one wave whose `parallel` is the window; the plan's `pause_s` holds between a return
    and the next start in its place. Batch is waves of the window's size, the last one smaller where
    instances are left over, with the pause as the gate between them.

    Args:
        instances: The names, in the order in which they are rolled.
        window: Maximum number of instances under way at once, at least 1.
        advance: ``sliding`` or ``batch``.
        pause_s: Seconds between waves; with 0 there is no gate.
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
    """Return the waves of a canary: one for each step with a bake after it, then the rest rolling.

    Args:
        instances: The names, in the order in which they are rolled.
        steps: For each step the share of the fleet that has the new version at its end, and its bake.
        window: Maximum number of instances under way at once.
        advance: How the rest advances: ``sliding`` or ``batch``.
        pause_s: Seconds between the waves of the rest.
    """
    counts = canary_counts([share for share, _ in steps], len(instances))
    waves: list[Wave] = []
    done = 0
    for count, (_, bake) in zip(counts, steps, strict=True):
        if count > done:
            names = tuple(instances[done:count])
            waves.append(Wave(instances=names, parallel=min(window, len(names)), gate=bake))
        else:  # the share adds no instance: 1 % and 2 % of ten are one, so its wave bakes for both
            waves[-1] = waves[-1].model_copy(update={"gate": _merge_bakes(waves[-1].gate, bake)})
        done = max(done, count)
    return (*waves, *waves_for(instances[done:], window, advance, pause_s))


def _merge_bakes(first: Gate | None, second: Gate) -> Gate:
    """Return two bakes of the same instances as one: as long as both, with the stricter limits."""
    if first is None:
        return second

    def stricter(limit: float | None, other: float | None) -> float | None:
        return min((value for value in (limit, other) if value is not None), default=None)

    return second.model_copy(
        update={
            "pause_s": first.pause_s + second.pause_s,
            "error_fraction": stricter(first.error_fraction, second.error_fraction),
            "latency_p99_s": stricter(first.latency_p99_s, second.latency_p99_s),
        }
    )


def canary_counts(shares: Sequence[float], count: int) -> list[int]:
    """Return how many instances have the new version after each step of a canary.

    As Argo Rollouts rounds: to the nearest whole number, ties up. At least one instance gets the new
    version, and at least one keeps the old one.
    """
    return [
        min(max(math.floor(round(share * count, 9) + 0.5), 1), max(count - 1, 1))
        for share in shares
    ]
