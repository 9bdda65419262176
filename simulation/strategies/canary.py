"""`canary`: a part of the fleet first, watched for a while, then more, then the rest rolling."""

from __future__ import annotations

from executor.plan import canary_counts, waves_for
from simulation.guards import LOOK_EVERY_S, crossed
from simulation.rollout import Steps
from simulation.scenario_rollout import CanaryStep
from simulation.strategies.rolling import Rolling

_ENOUGH = 100
"""Answers of the new version before a bake is cut short; at its end whatever there is counts."""


class Canary(Rolling):
    """Waves of unequal size, each with a bake after it; back is rolling."""

    def _forward(self) -> Steps:
        order, steps = self._task.order, self._rule.canary
        counts = canary_counts([step.share for step in steps], len(order))
        done = 0
        for step, count in zip(steps, counts, strict=True):
            names = [str(instance) for instance in order[done:count]]
            if names:  # else the share comes to no more instances than the one before
                yield from self._roll(waves_for(names, self._task.window, "sliding", 0.0))
            if not self._brake.is_on:
                yield from self._bake(step)
            if self._brake.is_on:
                return
            done = count
        yield from self._roll(self._waves(order[done:]))

    def _bake(self, step: CanaryStep) -> Steps:
        """Watches what the new version answers from now on."""
        begin_s = float(self._env.now)
        end_s = begin_s + step.bake
        with self._spent_on("gate"):
            while self._env.now < end_s and not self._brake.is_on:
                left_s = end_s - float(self._env.now)
                yield self._env.timeout(min(LOOK_EVERY_S, left_s)) | self._brake.pulled
                now = float(self._env.now)
                seen = self._plane.seen(begin_s, now, new_version=True)
                what = crossed(step, seen) if seen.ended >= _ENOUGH or now >= end_s else None
                if what is not None:
                    self.trip(f"canary at {step.share:.4g}: {what}")
