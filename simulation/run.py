"""One case in one replication, from warm-up to the end of the common interval.

The control plane is assembled here; it reaches requests through the `RequestPlane` only.
"""

from __future__ import annotations

import gc
import itertools
import math
from collections.abc import Collection, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any

import networkx as nx
import numpy as np
import simpy

from executor.base.errors import BadInput
from simulation.control.crashes import crash_and_repair
from simulation.control.instances import Instances
from simulation.control.order import rolling_order
from simulation.control.release import Release
from simulation.control.strategies.by_name import strategy_class
from simulation.control.strategy import Strategy, Task, step_durations
from simulation.engines.compiled.code_cache import is_ready
from simulation.engines.reference.engine import ReferenceEngine
from simulation.requests.arrivals import ClosedLoop, Streams
from simulation.requests.draws import Draws
from simulation.requests.identity import Same
from simulation.requests.plane import Engine, SimulatedClock
from simulation.requests.stationary import long_lived, open_connections
from simulation.requests.uncertainty import draw_uncertain
from simulation.results.pool_log import PoolChange, PoolLog, merge
from simulation.results.recorder import RunRecord, metrics_without_rollout, run_result
from simulation.results.request_ends import RequestEnds, StretchEdge, judged_classes
from simulation.results.run_result import Ending, EngineName, RunResult
from simulation.results.states import StateInterval
from simulation.results.stretches import Stretches
from simulation.scenario.model import Scenario, Service
from simulation.scenario.rates import RateTable
from simulation.scenario.release_graph import release_graph
from simulation.scenario.simulated_interval import SETTLING_S, SimulatedInterval
from simulation.scenario.traffic import TimestampsRate, Traffic

_ENDS_EVERY_S = 1.0
"""Time between two questions whether the judged requests have ended, in seconds."""


class Run:
    """The simulation of one case: call `settle` on all cases of a replication, then `finish`."""

    def __init__(
        self,
        scenario: Scenario,
        frame: SimulatedInterval,
        replication: int,
        engine: EngineName = EngineName.AUTO,
        *,
        keep_requests: bool = False,
    ) -> None:
        """Assemble a run.

        Args:
            scenario: The scenario of one case.
            frame: The simulated time around the rollout.
            replication: Number of the replication.
            engine: Which engine simulates.
            keep_requests: Whether the result carries every request.
        """
        self._scenario = scenario = draw_uncertain(scenario, replication)
        self._frame = frame
        self._facts = _facts_of(Same(scenario), frame)
        self._rates = self._facts.rates
        draws = Draws(scenario.seed, replication)
        arrivals = arrivals_of(scenario, frame, replication, draws)
        self._keep_requests = keep_requests
        self._env, self._engine = self._make_engine(engine, arrivals, draws)
        self._pool_log: PoolLog = []
        self._instances = {
            name: Instances(
                self._env,
                self._engine.plane(name),
                power=self._facts.power[name],
                work_s=self._facts.work_s[name],
                second_count=scenario.second_count(name),
                return_delay_s=service.balancer.return_delay,
                log=partial(self._pool_changes, name),
            )
            for name, service in scenario.services.items()
        }
        # Numbered as if each service had second instances: every candidate sees the same crashes.
        firsts = itertools.accumulate(
            (2 * service.instance_count for service in scenario.services.values()), initial=0
        )
        for first, (name, service) in zip(firsts, scenario.services.items(), strict=False):
            if service.crashes is not None:
                for k in range(len(scenario.names_of(name))):
                    self._env.process(
                        crash_and_repair(
                            self._env,
                            self._instances[name],
                            k,
                            rule=service.crashes,
                            draws=draws,
                            number=first + k,
                        )
                    )
        self._release: Release | None = None
        if scenario.rollout is not None:
            strategies = {
                name: self._strategy(name, draws, replication) for name in self._facts.tasks
            }
            self._release = Release(self._env, strategies, self._facts.graph)
        self._settled = self._env.process(self._life())
        self._settled_s = frame.horizon_s
        self._exposed_count: int | None = None
        self._over_s: float | None = None
        self._alone_end_s = self._last_edge_s = math.inf
        self._edges: dict[float, StretchEdge] = {}
        if frame.over_s is not None:
            self._env.process(self._mark_stretches(frame.over_s))
        data_ends_s = self._rates.data_ends_s()
        if math.isfinite(data_ends_s):
            self._env.process(self._refuse_at(data_ends_s))

    def _pool_changes(self, service: str, change: PoolChange) -> None:
        self._pool_log.append((service, change))

    def _make_engine(
        self, name: EngineName, arrivals: Streams | ClosedLoop, draws: Draws
    ) -> tuple[SimulatedClock, Engine]:
        """Return a clock and the engine of a name."""
        now_s, bin_s = -self._frame.warm_up_s, self._frame.bin_s
        if name == EngineName.COMPILED or (name == EngineName.AUTO and is_ready()):
            from simulation.engines.compiled.engine import (  # noqa: PLC0415 - Numba takes a while to import
                CompiledClock,
                CompiledEngine,
            )

            compiled_clock = CompiledClock(initial_time=now_s)
            return compiled_clock, CompiledEngine(
                compiled_clock,
                self._scenario,
                arrivals,
                draws,
                bin_s=bin_s,
                horizon_s=self._frame.horizon_s,
                keep_requests=self._keep_requests,
            )
        clock = SimulatedClock(initial_time=now_s)
        return clock, ReferenceEngine(clock, self._scenario, arrivals, draws, bin_s=bin_s)

    def _strategy(self, service: str, draws: Draws, replication: int) -> Strategy:
        """Return the strategy that rolls one service."""
        scenario = self._scenario
        drawn = _Drawn(scenario, Same(scenario.services), scenario.seed, replication)
        task = replace(
            self._facts.tasks[service],
            durations_s=_step_durations(drawn, service),
            draws=draws,
        )
        plane, instances = self._engine.plane(service), self._instances[service]
        return strategy_class(task)(self._env, plane, instances, task)

    def _life(self) -> Generator[simpy.Event, Any, None]:
        """Warm up, roll, and settle: wait until the queue is no longer than before the rollout."""
        yield self._env.timeout(self._frame.warm_up_s)
        usual = self._engine.pop_highest_waiting()
        if self._release is None:
            yield simpy.Event(self._env)
            return
        yield self._env.process(self._release.run())
        self._exposed_count = self._engine.exposed_count()
        self._over_s = float(self._env.now)
        known_s = max(instances.returns_known_s for instances in self._instances.values())
        if known_s > self._env.now:
            yield self._env.moment(known_s, 1)
        yield self._engine.when_waiting_at_most(usual, SETTLING_S)
        yield self._env.timeout(SETTLING_S)
        self._settled_s = float(self._env.now)

    def _refuse_at(self, time_s: float) -> Generator[simpy.Event, Any, None]:
        """End the simulation with an error at the end of the traffic's data."""
        yield self._env.moment(time_s, 0)
        raise BadInput(self._rates.why_it_ends(time_s))

    def _mark_stretches(self, over_s: float) -> Generator[simpy.Event, Any, None]:
        """Mark the end of each stretch of `objectives.over`, until the last one is over."""
        for number in itertools.count(1):
            yield self._env.moment(number * over_s, 1)
            if self._env.now > self._last_edge_s:
                return
            self._mark_edge()

    def _mark_edge(self) -> None:
        """Make the present time the end of a stretch."""
        now = float(self._env.now)
        if now not in self._edges:
            self._edges[now] = self._engine.mark_edge()

    def _simulate_until(self, time_s: float) -> None:
        """Simulate until exactly this time; SimPy itself would stop at ``now + (time_s − now)``."""
        if time_s > self._env.now:
            with garbage_collection_off():
                self._env.run(until=self._env.moment(time_s, 0))

    def settle(self) -> float:
        """Simulate until the run has settled and its stretches are over; return `alone_end_s`."""
        horizon = self._env.moment(self._frame.horizon_s, 0)
        with garbage_collection_off():
            self._env.run(until=self._settled | horizon)
        self._settled_tally = self._alone_tally = self._engine.tally(with_bins=False)
        self._last_edge_s = self._frame.edges_s(self._settled_s)[-1]
        if self._last_edge_s > self._env.now:
            self._simulate_until(self._last_edge_s)
            self._alone_tally = self._engine.tally(with_bins=False)
        self._mark_edge()
        self._alone_end_s = self._frame.alone_end_s(self._settled_s)
        return self._alone_end_s

    def alone_end_s(self) -> float:
        """Return the end of the interval that this case needs, once the run has settled."""
        return self._alone_end_s

    def observe_fleet(
        self, edges_s: Iterable[float], metrics_at_s: Collection[float], end_s: float
    ) -> dict[float, dict[str, float | None]]:
        """Simulate a scenario without a rollout, as the control of others; then call `finish`.

        Args:
            edges_s: The ends of the stretches of the others, in seconds.
            metrics_at_s: The times until which metrics are wanted, in seconds.
            end_s: The end of the common interval, in seconds, no earlier than any of these times.

        Returns:
            The metrics from 0 until each of the times.
        """
        edges, metrics = set(edges_s), {}
        for time_s in sorted({*edges, *metrics_at_s, end_s}):
            self._simulate_until(time_s)
            if time_s in edges:
                self._mark_edge()
            if time_s in metrics_at_s:
                metrics[time_s] = metrics_without_rollout(
                    self._engine.tally(with_bins=False),
                    self._states(time_s),
                    self._facts.slots,
                    until_s=time_s,
                    slow_over_s=self._scenario.objectives.latency_p99,
                )
        self._settled_s = self._alone_end_s = end_s
        self._settled_tally = self._alone_tally = self._engine.tally(with_bins=False)
        return metrics

    def stretches(self) -> Stretches:
        """Return the stretches on which this run is judged, once it has settled."""
        return Stretches(
            self._frame.edges_s(self._settled_s),
            min(self._frame.judged_until_s(self._settled_s), self._last_known_s()),
        )

    def _last_known_s(self) -> float:
        """Return the last moment at which the traffic is known, infinite where it always is."""
        return math.nextafter(self._rates.data_ends_s(), -math.inf)

    def request_ends(self, until_s: float) -> RequestEnds:
        """Simulate on until the judged requests have ended, or until a time; return their ends.

        Call `finish` before: its result covers the common interval only.
        """
        while self._env.now < until_s and self._engine.in_flight_count():
            self._simulate_until(min(until_s, self._env.now + _ENDS_EVERY_S))
        classes = self._scenario.traffic.classes.values()
        return RequestEnds(
            classes=judged_classes(self._scenario),
            has_latency=np.array([kind.holds_slot for kind in classes]),
            edges=self._edges,
            late=self._engine.late(),
        )

    def finish(self, end_s: float) -> RunResult:
        """Simulate on to the end of the common interval; return the result."""
        self._simulate_until(end_s)
        release, scenario = self._release, self._scenario
        exposed_count = self._exposed_count
        if exposed_count is None:
            exposed_count = self._settled_tally["exposed"]
        return run_result(
            RunRecord(
                tally=self._engine.tally(),
                losses=self._engine.losses(),
                settled_tally=self._settled_tally,
                alone_tally=self._alone_tally,
                exposed_count=exposed_count,
                states=self._states(end_s),
                pool_log=merge(self._pool_log),
                rolled=release is not None,
                ended=self._ending(),
                rollout_ended_s=release.ended_s if release else None,
                over_s=self._over_s,
                settled_s=min(self._settled_s, end_s),
                end_s=end_s,
                alone_end_s=self.alone_end_s(),
                has_connections=bool(long_lived(scenario)),
                has_reconnects=any(
                    kind.reconnects is not None for kind in scenario.traffic.classes.values()
                ),
                waits=release.waits() if release else None,
                critical_path=release.critical_path() if release else (),
                failures=release.failures if release else (),
                stopped_by=release.stopped_by if release else None,
                slots=self._facts.slots,
                fleets=self._facts.fleets,
                slow_over_s=scenario.objectives.latency_p99,
                bin_s=self._frame.bin_s,
                engine=self._engine.name,
            ),
            self._engine.table() if self._keep_requests else None,
        )

    def close(self) -> None:
        """Free the run's memory now: it contains reference cycles, and the garbage collector is off."""
        self._engine.close()
        vars(self).clear()

    def _states(self, end_s: float) -> tuple[StateInterval, ...]:
        """Return the intervals of all instances, numbered over all services."""
        return tuple(
            interval
            for name, instances in self._instances.items()
            for interval in instances.fleet.intervals(end_s, self._scenario.first_number(name))
        )

    def _ending(self) -> Ending:
        if self._release is None:
            return Ending.DONE
        if self._release.is_halted:
            return Ending.HALTED
        if self._release.rolled_back:
            return Ending.ROLLED_BACK
        in_time = self._release.ended_s is not None
        settled = self._frame.exact or self._settled_s < self._frame.horizon_s
        return Ending.DONE if in_time and settled else Ending.HORIZON


@contextmanager
def garbage_collection_off() -> Iterator[None]:
    """Switch the garbage collector off: a run keeps all that it makes until it is over.

    The collector would walk through every request again and again, which takes two fifths of the
    time of the reference engine and a twentieth of the time of the compiled one.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def traffic_around(scenario: Scenario, frame: SimulatedInterval) -> RateTable:
    """Return the traffic over the simulated time, in seconds from the start of the rollout."""
    return scenario.rates().window(scenario.start_s(), frame.warm_up_s, frame.horizon_s)


@dataclass(frozen=True)
class _Facts:
    """The facts of a scenario and its interval that are the same in every replication.

    Attributes:
        rates: The traffic over the simulated time.
        power: Work that each instance of a service does at once.
        work_s: Mean work that a request asks of a service, in seconds.
        tasks: The task of each service that is rolled, but for what is drawn.
        graph: The order of the release.
        slots: The slots of each instance, service by service.
        fleets: For each service, the number of instances without and with second instances.
    """

    rates: RateTable
    power: dict[str, list[float]]
    work_s: dict[str, float]
    tasks: dict[str, Task]
    graph: nx.DiGraph[str]
    slots: list[int]
    fleets: list[tuple[int, int]]


@lru_cache(maxsize=64)
def _facts_of(case: Same[Scenario], frame: SimulatedInterval) -> _Facts:
    scenario = case.value
    services = scenario.services.items()
    counts = {name: len(scenario.names_of(name)) for name in scenario.services}
    return _Facts(
        rates=traffic_around(scenario, frame),
        power={name: service.power() for name, service in services},
        work_s={
            name: scenario.work_s(name) or float(service.service_time.mean_s())
            for name, service in services
        },
        tasks={name: _task_of(scenario, name) for name in scenario.rolled_services()},
        graph=release_graph(scenario.release_order()),
        slots=[
            slots
            for name, service in services
            for slots in (service.slots_of() * 2)[: counts[name]]
        ],
        fleets=[(service.instance_count, counts[name]) for name, service in services],
    )


def _task_of(scenario: Scenario, service: str) -> Task:
    """Return the task of the strategy that rolls a service, with nothing drawn yet."""
    rule = scenario.rule(service)
    assert rule is not None
    return Task(
        rule=rule,
        version=scenario.services[service].versions.new,
        window=scenario.window_count(service),
        surge=scenario.surge_count(service),
        min_healthy=scenario.min_healthy_count(service),
        max_failures=scenario.max_failures_count(service),
        order=rolling_order(scenario, service),
        durations_s={},
        draws=Draws(scenario.seed, 0),
        first_number=scenario.first_number(service),
        service=service,
        drains_to_timeout=scenario.services[service].balancer.drains_to_timeout,
        shared_s={
            step: work_s
            for step, work_s in scenario.services[service].steps.shared.in_order()
            if work_s > 0
        },
    )


@dataclass(frozen=True)
class _Drawn:
    """The key of the durations of steps, which the candidates of a replication share."""

    scenario: Scenario = field(compare=False)
    services: Same[dict[str, Service]]
    seed: int
    replication: int


@lru_cache(maxsize=16)
def _step_durations(drawn: _Drawn, service: str) -> dict[str, list[float]]:
    durations = step_durations(drawn.scenario, service, drawn.seed, drawn.replication)
    return {step: [float(each) for each in seconds] for step, seconds in durations.items()}


@dataclass(frozen=True)
class _Source:
    """The key of the requests of an open loop, which the candidates of a replication share."""

    scenario: Scenario = field(compare=False)
    traffic: Same[Traffic]
    services: Same[dict[str, Service]]
    routed_to: str
    start: float | str
    frame: SimulatedInterval
    seed: int
    replication: int


def arrivals_of(
    scenario: Scenario, frame: SimulatedInterval, replication: int, draws: Draws
) -> Streams | ClosedLoop:
    """Return the arrivals of one replication."""
    traffic = scenario.traffic
    if traffic.arrivals == "closed":
        return ClosedLoop(traffic, scenario.demands(), draws)
    return _streams_of(
        _Source(
            scenario,
            Same(traffic),
            Same(scenario.services),
            scenario.service_name,
            scenario.clock.start,
            frame,
            scenario.seed,
            replication,
        )
    ).twin()


@lru_cache(maxsize=4)
def _streams_of(source: _Source) -> Streams:
    """Return the streams whose twins the candidates of a replication use."""
    scenario, frame, replication = source.scenario, source.frame, source.replication
    traffic = scenario.traffic
    times_s = None
    if traffic.arrivals == "replay":
        assert isinstance(traffic.rate, TimestampsRate)
        times_s = traffic.rate.times_s(scenario.start_s(), frame.warm_up_s)
    rules = [service.balancer for service in scenario.services.values()]
    asks = any(rule.sticky or rule.policy == "source_hash" for rule in rules)
    return Streams(
        traffic_around(scenario, frame),
        scenario.demands(),
        traffic.shares(),
        traffic.sessions if asks else 1,
        seed=scenario.seed,
        replication=replication,
        dispersion=traffic.dispersion if traffic.arrivals == "bursty" else 1.0,
        until_s=frame.horizon_s,
        times_s=times_s,
        opened=open_connections(scenario, -frame.warm_up_s, scenario.seed, replication),
    )
