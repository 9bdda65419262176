"""Instances: their states and the moves between them.

The table of legal moves is data, and every move is checked against it (model.md §5). What leaves
is the list of intervals each instance spent in each state, complete and without overlap.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """What an instance is doing, one way round."""

    SERVING = "serving"
    DRAINING = "draining"
    STOPPING = "stopping"
    DEPLOYING = "deploying"
    VERIFYING = "verifying"
    STARTING = "starting"
    RETURNING = "returning"
    FAILED = "failed"


LEGAL_MOVES: dict[State, frozenset[State]] = {
    State.SERVING: frozenset({State.DRAINING}),
    State.DRAINING: frozenset({State.STOPPING, State.FAILED}),
    State.STOPPING: frozenset({State.DEPLOYING, State.FAILED}),
    State.DEPLOYING: frozenset({State.VERIFYING, State.FAILED}),
    State.VERIFYING: frozenset({State.STARTING, State.FAILED}),
    State.STARTING: frozenset({State.RETURNING, State.FAILED}),
    State.RETURNING: frozenset({State.SERVING, State.FAILED}),
    State.FAILED: frozenset({State.STOPPING}),  # back to the old version
}


@dataclass(frozen=True)
class StateInterval:
    """One instance in one state, from ``begin_s`` to ``end_s`` (0 = the rollout starts)."""

    instance: int
    state: State
    begin_s: float
    end_s: float


@dataclass
class Fleet:
    """The states of all instances of a service, over time."""

    count: int
    begin_s: float
    state: list[State] = field(init=False)
    _since_s: list[float] = field(init=False)
    _past: list[StateInterval] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.state = [State.SERVING] * self.count
        self._since_s = [self.begin_s] * self.count

    def move(self, instance: int, to: State, now_s: float) -> None:
        """Moves an instance to its next state.

        Raises:
            ValueError: The move is not in the table.
        """
        now_in = self.state[instance]
        if to not in LEGAL_MOVES[now_in]:
            raise ValueError(f"instance {instance} must not go from {now_in} to {to}")
        self._past.append(StateInterval(instance, now_in, self._since_s[instance], now_s))
        self.state[instance] = to
        self._since_s[instance] = now_s

    def intervals(self, end_s: float) -> tuple[StateInterval, ...]:
        """All intervals up to ``end_s``, instance by instance."""
        present = [
            StateInterval(k, self.state[k], self._since_s[k], end_s) for k in range(self.count)
        ]
        return tuple(sorted(self._past + present, key=lambda one: (one.instance, one.begin_s)))
