"""Instances: their states and the moves between them.

The table of legal moves is data, and every move is checked against it (model.md §5). What leaves
is the list of intervals each instance spent in each state, complete and without overlap.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from simulation.results.states import State, StateInterval

LEGAL_MOVES: dict[State, frozenset[State]] = {
    State.SERVING: frozenset({State.DRAINING, State.CRASHED}),
    State.CRASHED: frozenset({State.SERVING, State.DRAINING}),  # repaired, or taken by the rollout
    State.DRAINING: frozenset({State.STOPPING, State.FAILED, State.SERVING}),  # fallen back to
    State.STOPPING: frozenset({State.DEPLOYING, State.FAILED, State.ABSENT}),
    State.DEPLOYING: frozenset({State.VERIFYING, State.FAILED}),
    State.VERIFYING: frozenset({State.STARTING, State.FAILED}),
    State.STARTING: frozenset({State.RETURNING, State.FAILED, State.STOPPING}),  # never used
    State.RETURNING: frozenset({State.SERVING, State.FAILED, State.STOPPING}),
    State.FAILED: frozenset({State.STOPPING}),  # back to the old version, or removed
    State.ABSENT: frozenset({State.DEPLOYING}),
}


@dataclass
class Fleet:
    """The states of all instances of a service, over time.

    Attributes:
        count: How many there are from the beginning.
        begin_s: When that is.
        second_count: How many more may be made later, numbered after them.
        state: What each is doing now.
    """

    count: int
    begin_s: float
    second_count: int = 0
    state: list[State] = field(init=False)
    _since_s: list[float] = field(init=False)
    _past: list[StateInterval] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.state = [State.SERVING] * self.count + [State.ABSENT] * self.second_count
        self._since_s = [self.begin_s] * len(self.state)

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

    def intervals(self, end_s: float, first: int = 0) -> tuple[StateInterval, ...]:
        """All intervals up to ``end_s``, instance by instance, which are numbered from ``first``."""
        present = [
            StateInterval(k, state, self._since_s[k], end_s) for k, state in enumerate(self.state)
        ]
        found = sorted(self._past + present, key=lambda one: (one.instance, one.begin_s))
        if first == 0:
            return tuple(found)
        return tuple(replace(one, instance=first + one.instance) for one in found)
