"""A release: one rollout for each service, in the order of their graph.

When the rollout of one service stops, nothing new begins in any service. Where the rule of the
stopped service asks for a rollback, every service whose rollout began is rolled back, one after the
other in reverse order.
"""

from __future__ import annotations

from collections.abc import Mapping

import networkx as nx
import simpy

from simulation.control.strategy import Steps, StopSignal, Strategy
from simulation.control.time_spent import sum_waits, waits_of
from simulation.results.failures import Failure
from simulation.results.run_result import Waits
from simulation.scenario.release_graph import critical_chain, in_order


class Release:
    """The rollouts of all services, forward and, where a rule asks for it, back.

    Attributes:
        strategies: The strategy of each service.
        rolled_back: Whether every service is as it was before.
        ended_s: When every service was done; None when the release was stopped before.
        stopped_by: The failure that stopped the release, or later its rollback; None when no
            failure did.
    """

    def __init__(
        self,
        env: simpy.Environment,
        strategies: Mapping[str, Strategy],
        graph: nx.DiGraph[str],
    ) -> None:
        self._env = env
        self._graph = graph
        self._stop_signal = StopSignal(env)
        self.strategies = strategies
        self.rolled_back = False
        self.ended_s: float | None = None
        self.stopped_by: Failure | None = None

    @property
    def is_halted(self) -> bool:
        """Return whether the release was stopped and not rolled back completely."""
        return self._stop_signal.is_on

    @property
    def failures(self) -> tuple[Failure, ...]:
        """All failures, service by service."""
        return tuple(
            failure for strategy in self.strategies.values() for failure in strategy.failures
        )

    def run(self) -> Steps:
        """Run the release until every service is done or, after a stop, what was under way is finished."""
        rolled: dict[str, simpy.Process] = {}
        for name in in_order(self._graph):
            before = [rolled[first] for first in self._graph.predecessors(name)]
            rolled[name] = self._env.process(self._service(name, before))
        yield self._env.all_of(rolled.values())
        if not self.is_halted:
            self.ended_s = float(self._env.now)
            return
        self.stopped_by = self._stop_signal.failure
        if self._stop_signal.rule is not None and self._stop_signal.rule.on_failure == "rollback":
            self._stop_signal = StopSignal(self._env)
            yield from self._back()
            self.stopped_by = self._stop_signal.failure or self.stopped_by

    def _service(self, name: str, before: list[simpy.Process]) -> Steps:
        """Roll one service, once the services before it are done."""
        yield self._env.all_of(before)
        if not self.is_halted:
            yield from self.strategies[name].forward(self._stop_signal)

    def _back(self) -> Steps:
        """Roll every service back whose rollout began, in reverse order."""
        for name in reversed(in_order(self._graph)):
            if self.strategies[name].begun_s is not None and not self.is_halted:
                yield from self.strategies[name].back(self._stop_signal)
        self.rolled_back = not self.is_halted

    def critical_path(self) -> tuple[str, ...]:
        """Return the chain of services that determined the end, first to last."""
        ended = {name: strategy.ended_s for name, strategy in self.strategies.items()}
        known = {name: ended_s for name, ended_s in ended.items() if ended_s is not None}
        return tuple(critical_chain(self._graph, known)) if self.ended_s is not None else ()

    def waits(self) -> Waits | None:
        """Return what the time was spent on along the critical path; None when the release did not end."""
        parts = []
        for name in self.critical_path():
            strategy = self.strategies[name]
            assert strategy.begun_s is not None
            assert strategy.ended_s is not None
            parts.append(waits_of(strategy.phases, strategy.begun_s, strategy.ended_s))
        return sum_waits(parts) if parts else None
