"""Instances: their states and the moves between them.

Every move is checked against the table of legal moves (model.md §5). `Fleet.intervals` lists what
each instance spent in each state, complete and without overlap.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from simulation.results.states import State, StateInterval

LEGAL_MOVES: dict[State, frozenset[State]] = {
    State.SERVING: frozenset({State.DRAINING, State.CRASHED}),
    State.CRASHED: frozenset(
        {State.SERVING, State.DRAINING}
    ),  # repaired, or taken out by the rollout
    State.DRAINING: frozenset(
        {State.STOPPING, State.FAILED, State.SERVING}
    ),  # put back when blue/green falls back
    State.STOPPING: frozenset({State.DEPLOYING, State.FAILED, State.ABSENT}),
    State.DEPLOYING: frozenset({State.VERIFYING, State.FAILED}),
    State.VERIFYING: frozenset({State.STARTING, State.FAILED}),
    State.STARTING: frozenset(
        {State.RETURNING, State.FAILED, State.STOPPING}
    ),  # removed before it ever served
    State.RETURNING: frozenset({State.SERVING, State.FAILED, State.STOPPING}),
    State.FAILED: frozenset({State.STOPPING}),  # for its return to the old version, or its removal
    State.ABSENT: frozenset({State.DEPLOYING}),
}


@dataclass
class Fleet:
    """The states of all instances of a service, over time.

    Attributes:
        count: Number of instances from the beginning.
        begin_s: When the simulation begins.
        second_count: Number of instances that may be made later, numbered after the first ones.
        state: The present state of each instance.
    """

    count: int
    begin_s: float
    second_count: int = 0
    state: list[State] = field(init=False)
    _since_s: list[float] = field(init=False)
    _past: list[list[StateInterval]] = field(init=False)

    def __post_init__(self) -> None:
        self.state = [State.SERVING] * self.count + [State.ABSENT] * self.second_count
        self._since_s = [self.begin_s] * len(self.state)
        self._past = [[] for _ in self.state]

    def move(self, instance: int, to: State, now_s: float) -> None:
        """Move an instance to its next state.

        Raises:
            ValueError: The move is not in the table.
        """
        now_in = self.state[instance]
        if to not in LEGAL_MOVES[now_in]:
            raise ValueError(f"instance {instance} must not go from {now_in} to {to}")
        self._past[instance].append(StateInterval(instance, now_in, self._since_s[instance], now_s))
        self.state[instance] = to
        self._since_s[instance] = now_s

    def intervals(self, end_s: float, first: int = 0) -> tuple[StateInterval, ...]:
        """Return all intervals up to ``end_s``, by instance; numbers of instances begin at ``first``."""
        intervals: list[StateInterval] = []
        for k, state in enumerate(self.state):
            intervals += self._past[k]
            intervals.append(StateInterval(k, state, self._since_s[k], end_s))
        if first == 0:
            return tuple(intervals)
        return tuple(part._replace(instance=first + part.instance) for part in intervals)
