"""A release: one rollout for each service, along the order in which they must be done.

Enters: the services' strategies and their graph. Leaves: how it ended, and when. When one service
stops, nothing new begins anywhere; when its rule says so, every service that was begun goes back,
in reverse order, one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping

import networkx as nx
import simpy

from simulation.control.strategy import Steps, StopSignal, Strategy
from simulation.control.time_spent import together, waits_of
from simulation.results.failures import Failure
from simulation.results.run_result import Waits
from simulation.scenario.release_graph import critical_chain, in_order


class Release:
    """All rollouts, forward and, where a rule asks for it, back.

    Attributes:
        strategies: By service.
        rolled_back: Whether everything is as it was.
        ended_s: When every service was done, None when the release was stopped before.
        stopped_by: What stopped it, last of all; on the way back too. None when nothing did.
    """

    def __init__(
        self,
        env: simpy.Environment,
        strategies: Mapping[str, Strategy],
        graph: nx.DiGraph[str],
    ) -> None:
        self._env = env
        self._graph = graph
        self._brake = StopSignal(env)
        self.strategies = strategies
        self.rolled_back = False
        self.ended_s: float | None = None
        self.stopped_by: Failure | None = None

    @property
    def is_halted(self) -> bool:
        """Whether it was stopped, and stays so."""
        return self._brake.is_on

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What failed or tripped, service by service."""
        return tuple(
            failure for strategy in self.strategies.values() for failure in strategy.failures
        )

    def run(self) -> Steps:
        """The whole release; ends when every service is done, or what was under way is."""
        rolled: dict[str, simpy.Process] = {}
        for name in in_order(self._graph):
            before = [rolled[first] for first in self._graph.predecessors(name)]
            rolled[name] = self._env.process(self._service(name, before))
        yield self._env.all_of(rolled.values())
        if not self.is_halted:
            self.ended_s = float(self._env.now)
            return
        self.stopped_by = self._brake.failure
        if self._brake.by is not None and self._brake.by.on_failure == "rollback":
            self._brake = StopSignal(self._env)
            yield from self._back()
            self.stopped_by = self._brake.failure or self.stopped_by

    def _service(self, name: str, before: list[simpy.Process]) -> Steps:
        """One service, once those before it are done."""
        yield self._env.all_of(before)
        if not self.is_halted:
            yield from self.strategies[name].forward(self._brake)

    def _back(self) -> Steps:
        for name in reversed(in_order(self._graph)):
            if self.strategies[name].begun_s is not None and not self.is_halted:
                yield from self.strategies[name].back(self._brake)
        self.rolled_back = not self.is_halted

    def critical_path(self) -> tuple[str, ...]:
        """The chain of services that determined the end, first to last."""
        ended = {name: one.ended_s for name, one in self.strategies.items()}
        known = {name: ended_s for name, ended_s in ended.items() if ended_s is not None}
        return tuple(critical_chain(self._graph, known)) if self.ended_s is not None else ()

    def waits(self) -> Waits | None:
        """Where the time went along that chain, None when the release did not end."""
        parts = []
        for name in self.critical_path():
            one = self.strategies[name]
            assert one.begun_s is not None
            assert one.ended_s is not None
            parts.append(waits_of(one.phases, one.begun_s, one.ended_s))
        return together(parts) if parts else None
