"""The class that rolls a service, by its strategy and by whether new instances replace old ones beside."""

from __future__ import annotations

from simulation.control.strategies.blue_green import BlueGreen
from simulation.control.strategies.canary import Canary
from simulation.control.strategies.expand_migrate_contract import (
    ExpandMigrateContract,
    ExpandMigrateContractBeside,
)
from simulation.control.strategies.recreate import Recreate
from simulation.control.strategies.rolling import Rolling
from simulation.control.strategies.surge import Surge
from simulation.control.strategy import Strategy, Task

_STRATEGIES: dict[str, type[Strategy]] = {
    "rolling": Rolling,
    "canary": Canary,
    "blue_green": BlueGreen,
    "recreate": Recreate,
    "expand_migrate_contract": ExpandMigrateContract,
}
_BESIDE: dict[str, type[Strategy]] = {
    "rolling": Surge,
    "canary": Surge,
    "expand_migrate_contract": ExpandMigrateContractBeside,
}


def strategy_class(task: Task) -> type[Strategy]:
    """Return the class of the strategy that a task asks for."""
    if task.rule.replaces_beside:
        return _BESIDE[task.rule.strategy]
    return _STRATEGIES[task.rule.strategy]
