"""`recreate`: the whole fleet is stopped, and only then the new version is brought up."""

from __future__ import annotations

from collections.abc import Sequence

from simulation.control.draining import SimulatedStepFailed
from simulation.control.strategy import Steps, Strategy
from simulation.results.states import State


class Recreate(Strategy):
    """All at once, forward and back; in between nobody serves."""

    def _forward(self) -> Steps:
        yield from self._recreate(self._task.order)

    def _back(self) -> Steps:
        yield from self._recreate(self._changed())

    def _recreate(self, instances: Sequence[int]) -> Steps:
        """What was stopped is brought up again, also when one of them fails meanwhile."""
        yield self._all(self._down(instance) for instance in instances)
        stopped = [k for k in instances if self._instances.state(k) is State.STOPPING]
        yield self._all(self._up(instance) for instance in stopped)

    def _down(self, instance: int) -> Steps:
        if self._instances.state(instance) is not State.FAILED:
            self._instances.leave(instance)
        yield from self._take_down(instance)

    def _up(self, instance: int) -> Steps:
        try:
            yield from self._bring_up(instance)
            yield from self._return(instance)
        except SimulatedStepFailed as failed:
            self._failed(instance, failed)
            return
        self._instances.join(instance)
        yield from self._stay_up(instance)
