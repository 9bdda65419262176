"""`canary`: a part of the fleet first, watched for a while, then more, then the rest rolling."""

from __future__ import annotations

from collections.abc import Sequence

from executor.plan import Gate, Wave, canary_waves, waves_for
from simulation.rollout import Steps
from simulation.scenario_rollout import Rollout
from simulation.strategies.rolling import Rolling


def waves_of(rule: Rollout, window: int, names: Sequence[str]) -> tuple[Wave, ...]:
    """The waves of a rolling or canary rollout, as they are simulated and as a plan tells them."""
    if rule.strategy != "canary":
        return waves_for(names, window, rule.advance, rule.pause)
    steps = [
        (
            step.share,
            Gate(
                kind="bake",
                pause_s=step.bake,
                error_fraction=step.error_fraction,
                latency_p99_s=step.latency_p99,
            ),
        )
        for step in rule.canary
    ]
    return canary_waves(names, steps, window=window, advance=rule.advance, pause_s=rule.pause)


class Canary(Rolling):
    """Waves of unequal size, each with a bake after it; back is rolling."""

    def _forward(self) -> Steps:
        names = [str(instance) for instance in self._task.order]
        yield from self._roll(waves_of(self._rule, self._task.window, names))
