"""`canary`: a part of the fleet first, watched for a while, then more, then the rest rolling."""

from __future__ import annotations

from simulation.control.order import waves_of
from simulation.control.strategies.rolling import Rolling
from simulation.control.strategy import Steps


class Canary(Rolling):
    """Waves of unequal size, each with a bake after it; back is rolling."""

    def _forward(self) -> Steps:
        names = [str(instance) for instance in self._task.order]
        yield from self._roll(waves_of(self._rule, self._task.window, names))
