"""Which class rolls a service: by its strategy, and by whether replacements surge."""

from __future__ import annotations

from simulation.rollout import Strategy, Task
from simulation.strategies.rolling import Rolling

_STRATEGIES: dict[str, type[Strategy]] = {
    "rolling": Rolling,
}


def strategy_class(task: Task) -> type[Strategy]:
    """The strategy that a task asks for."""
    return _STRATEGIES[task.rule.strategy]
