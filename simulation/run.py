"""One case in one replication, from warm-up to the end of the common interval.

The control plane is assembled here; it reaches requests through the `RequestPlane` only.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

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
from simulation.requests.plane import Engine, SimulatedClock
from simulation.requests.stationary import long_lived, open_connections
from simulation.results.pool_log import PoolChange, PoolLog, merge
from simulation.results.recorder import RunRecord, run_result
from simulation.results.run_result import Ending, EngineName, RunResult
from simulation.results.states import StateInterval
from simulation.scenario.model import Scenario
from simulation.scenario.rates import RateTable
from simulation.scenario.release_graph import release_graph
from simulation.scenario.simulated_interval import SETTLING_S, SimulatedInterval
from simulation.scenario.traffic import TimestampsRate


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
        self._scenario = scenario
        self._frame = frame
        self._rates = traffic_around(scenario, frame)
        draws = Draws(scenario.seed, replication)
        arrivals = arrivals_of(scenario, frame, replication, draws)
        self._keep_requests = keep_requests
        self._env, self._engine = self._make_engine(engine, arrivals, draws)
        self._pool_log: PoolLog = []
        self._instances = {
            name: Instances(
                self._env,
                self._engine.plane(name),
                power=service.power(),
                work_s=scenario.work_s(name) or float(service.service_time.mean_s()),
                second_count=scenario.second_count(name),
                log=partial(self._pool_changes, name),
            )
            for name, service in scenario.services.items()
        }
        for name, service in scenario.services.items():
            if service.crashes is not None:
                first = scenario.first_number(name)
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
                name: self._strategy(name, draws, replication)
                for name in scenario.rolled_services()
            }
            graph = release_graph(scenario.release_order())
            self._release = Release(self._env, strategies, graph)
        self._settled = self._env.process(self._life())
        self._settled_s = frame.horizon_s
        self._exposed_count: int | None = None
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
        scenario, rule = self._scenario, self._scenario.rule(service)
        assert rule is not None
        task = Task(
            rule=rule,
            version=scenario.services[service].versions.new,
            window=scenario.window_count(service),
            surge=scenario.surge_count(service),
            order=rolling_order(scenario, service),
            durations_s=step_durations(scenario, service, scenario.seed, replication),
            draws=draws,
            first_number=scenario.first_number(service),
            service=service,
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
        yield self._engine.when_waiting_at_most(usual, SETTLING_S)
        yield self._env.timeout(SETTLING_S)
        self._settled_s = float(self._env.now)

    def _refuse_at(self, time_s: float) -> Generator[simpy.Event, Any, None]:
        """End the simulation with an error at the end of the traffic's data."""
        yield self._env.moment(time_s, 0)
        raise BadInput(self._rates.why_it_ends(time_s))

    def settle(self) -> float:
        """Simulate until the run has settled; return `alone_end_s`."""
        horizon = self._env.moment(self._frame.horizon_s, 0)
        with garbage_collection_off():
            self._env.run(until=self._settled | horizon)
        self._settled_tally = self._engine.tally(with_bins=False)
        return self.alone_end_s()

    def alone_end_s(self) -> float:
        """Return the end of the interval that this case needs, once the run has settled."""
        return self._frame.alone_end_s(self._settled_s)

    def finish(self, end_s: float) -> RunResult:
        """Simulate on to the end of the common interval; return the result."""
        if end_s > self._env.now:
            with garbage_collection_off():
                self._env.run(until=end_s)
        release, scenario = self._release, self._scenario
        exposed_count = self._exposed_count
        if exposed_count is None:
            exposed_count = self._settled_tally["exposed"]
        return run_result(
            RunRecord(
                tally=self._engine.tally(),
                settled_tally=self._settled_tally,
                exposed_count=exposed_count,
                states=self._states(end_s),
                pool_log=merge(self._pool_log),
                rolled=release is not None,
                ended=self._ending(),
                rollout_ended_s=release.ended_s if release else None,
                settled_s=min(self._settled_s, end_s),
                end_s=end_s,
                alone_end_s=self.alone_end_s(),
                has_connections=bool(long_lived(scenario)),
                waits=release.waits() if release else None,
                critical_path=release.critical_path() if release else (),
                failures=release.failures if release else (),
                stopped_by=release.stopped_by if release else None,
                slots=[
                    slots
                    for name, service in scenario.services.items()
                    for slots in (service.slots_of() * 2)[: len(scenario.names_of(name))]
                ],
                fleets=[
                    (service.instance_count, len(scenario.names_of(name)))
                    for name, service in scenario.services.items()
                ],
                slow_over_s=scenario.objectives.latency_p99,
                bin_s=self._frame.bin_s,
                engine=self._engine.name,
            ),
            self._engine.table() if self._keep_requests else None,
        )

    def close(self) -> None:
        """Free the run's memory now: it contains reference cycles, and the garbage collector is off."""
        self._engine.close()

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


def arrivals_of(
    scenario: Scenario, frame: SimulatedInterval, replication: int, draws: Draws
) -> Streams | ClosedLoop:
    """Return the arrivals of one replication."""
    traffic = scenario.traffic
    if traffic.arrivals == "closed":
        return ClosedLoop(traffic, scenario.demands(), draws)
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
