"""`canary`: a part of the fleet first, watched for a while, then more, then the rest rolling."""

from __future__ import annotations

from collections.abc import Sequence

from executor.plan import Gate, Wave, canary_waves, waves_for
from simulation.failures import Cause
from simulation.guards import LOOK_EVERY_S, crossed
from simulation.rollout import Steps
from simulation.scenario_rollout import Rollout
from simulation.strategies.rolling import Rolling

_ENOUGH = 100
"""Answers of the new version before a bake is cut short; at its end whatever there is counts."""


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

    def _gate(self, gate: Gate) -> Steps:
        """In a bake the new version's answers are watched from its beginning."""
        if gate.kind == "pause":
            yield from super()._gate(gate)
            return
        begin_s = float(self._env.now)
        end_s = begin_s + gate.pause_s
        with self._spent_on("gate"):
            while self._env.now < end_s and not self._brake.is_on:
                left_s = end_s - float(self._env.now)
                yield self._env.timeout(min(LOOK_EVERY_S, left_s)) | self._brake.pulled
                now = float(self._env.now)
                seen = self._plane.seen(begin_s, now, new_version=True)
                failure = crossed(Cause.CANARY, seen, gate.error_fraction, gate.latency_p99_s)
                if failure is not None and (seen.ended >= _ENOUGH or now >= end_s):
                    self.trip(failure)
