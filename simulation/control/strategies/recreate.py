"""`recreate`: the whole fleet is stopped, and only then the new version is brought up."""

from __future__ import annotations

from collections.abc import Sequence

from simulation.control.draining import SimulatedStepFailed
from simulation.control.strategy import Steps, Strategy
from simulation.results.states import State


class Recreate(Strategy):
    """Replace all instances at once, forward and back; in between no instance serves."""

    def _forward(self) -> Steps:
        yield from self._recreate(self._task.order)

    def _back(self) -> Steps:
        yield from self._recreate(self._changed_instances())

    def _recreate(self, instances: Sequence[int]) -> Steps:
        """Stop all instances, then start those that stopped, also when an instance failed meanwhile."""
        yield self._run_all(self._take_out_and_stop(instance) for instance in instances)
        stopped = [k for k in instances if self._instances.state(k) is State.STOPPING]
        yield self._run_all(self._start_and_return(instance) for instance in stopped)

    def _take_out_and_stop(self, instance: int) -> Steps:
        if self._instances.state(instance) is not State.FAILED:
            self._instances.leave(instance)
        yield from self._take_down(instance)

    def _start_and_return(self, instance: int) -> Steps:
        try:
            yield from self._make_ready(instance)
        except SimulatedStepFailed as failed:
            self._record_failure(instance, failed)
            return
        self._instances.join(instance)
        yield from self._wait_min_ready(instance)
