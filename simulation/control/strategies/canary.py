"""`canary`: a part of the fleet is rolled first and watched in a bake, then more, then the rest."""

from __future__ import annotations

from simulation.control.order import waves_of
from simulation.control.strategies.rolling import Rolling
from simulation.control.strategy import Steps


class Canary(Rolling):
    """Roll in waves of unequal size, each followed by a bake; a rollback is rolling."""

    def _forward(self) -> Steps:
        names = [str(instance) for instance in self._task.order]
        yield from self._roll(waves_of(self._rule, self._task.window, names))
