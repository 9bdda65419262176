"""Which class rolls a service: by its strategy, and by whether new instances are made beside the old ones."""

from __future__ import annotations

from simulation.rollout import Strategy, Task
from simulation.strategies.blue_green import BlueGreen
from simulation.strategies.canary import Canary
from simulation.strategies.expand_migrate_contract import ExpandMigrateContract
from simulation.strategies.recreate import Recreate
from simulation.strategies.rolling import Rolling
from simulation.strategies.surge import Surge

_STRATEGIES: dict[str, type[Strategy]] = {
    "rolling": Rolling,
    "canary": Canary,
    "blue_green": BlueGreen,
    "recreate": Recreate,
    "expand_migrate_contract": ExpandMigrateContract,
}


def strategy_class(task: Task) -> type[Strategy]:
    """The strategy that a task asks for."""
    if task.rule.replaces_beside:
        return Surge
    return _STRATEGIES[task.rule.strategy]
