"""The compiled engine: the kernel's memory, and the control plane's way into it.

Enters: a scenario, what arrives, what control does. Leaves: the same answers as the reference engine
gives, request by request; `tests/simulation/engines/test_engines_agree.py` holds that. What is rare stays in
Python and in SimPy: what a balancer hears late, how a returned instance's share grows, what control
waits for.
"""

from __future__ import annotations

import math

import numpy as np
import simpy

from simulation.engines.compiled.kernel import loop
from simulation.engines.compiled.kernel import memory as km
from simulation.engines.compiled.layout import lay_out, lay_out_wheels
from simulation.engines.compiled.memory import Memory
from simulation.engines.compiled.plane import CompiledPlane
from simulation.engines.compiled.streams import QuickGenerator, running_sum
from simulation.requests.arrivals import ClosedLoop, OpenConnections, Streams
from simulation.requests.draws import Draws
from simulation.requests.plane import RequestPlane, SimulatedClock, past_event
from simulation.results.run_result import EngineName, RequestTable
from simulation.results.tally import BUCKETS, COUNTED_IN_BINS, NO_BIN_LATENCY, TOTALS, Tally
from simulation.scenario.model import Scenario

_LOOP_WIDTH = 16


class CompiledClock(SimulatedClock):
    """SimPy's environment; the kernel goes up to an event of control before that looks or acts."""

    engine: CompiledEngine | None = None

    def step(self) -> None:
        """The next event of control.

        Everything of requests that comes before it has happened, or will have as soon as control
        has anything to do with them: what asks for nothing need not be waited for.
        """
        engine = self.engine
        if engine is not None:
            engine.is_behind = True
            if engine.may_signal:
                engine.catch_up(self.peek())
        super().step()


class CompiledEngine:
    """All services of a scenario, and the clients that ask them.

    Attributes:
        is_behind: Whether the requests are not yet where control is.
        may_signal: Whether control may have to hear of something before its next event.
    """

    name = EngineName.COMPILED

    def __init__(
        self,
        env: CompiledClock,
        scenario: Scenario,
        arrivals: Streams | ClosedLoop,
        draws: Draws,
        *,
        bin_s: float,
        horizon_s: float,
        keep_requests: bool,
    ) -> None:
        """Lays everything out.

        Args:
            env: The clock that control goes by.
            scenario: What is simulated.
            arrivals: What arrives.
            draws: What else is drawn.
            bin_s: Width of the bins of what is counted over time.
            horizon_s: Until when there will be something to count at the latest.
            keep_requests: Whether every request is recorded.
        """
        self.is_behind = False
        rules = [service.balancer for service in scenario.services.values()]
        self._signals_unasked = any(rule.slow_start > 0 for rule in rules) or any(
            one.reconnects for one in scenario.traffic.classes.values()
        )
        self.may_signal = self._signals_unasked
        self._env = env
        self._scenario = scenario
        self._arrivals = arrivals
        self._draws = draws
        self._memory = memory = Memory()
        self._header = memory.header
        self._calm: simpy.Event | None = None
        lay_out(
            memory,
            scenario,
            draws,
            now_s=env.now,
            bin_s=bin_s,
            horizon_s=horizon_s,
            keep_requests=keep_requests,
        )
        self._demands = scenario.demands()
        self._open_arrivals()
        self._planes = {
            name: CompiledPlane(env, self, memory, service, number)
            for number, (name, service) in enumerate(scenario.services.items())
        }
        memory.grow_if_tight()
        loop.act(memory.address, km.ENTERS, len(memory["instances"]), 0, 0.0)
        if isinstance(arrivals, Streams) and arrivals.opened is not None:
            self._open_connections(arrivals.opened)
        env.engine = self

    def _open_arrivals(self) -> None:
        h, memory, loop = self._header, self._memory, self._arrivals
        if isinstance(loop, Streams):
            loop.quicken(running_sum, QuickGenerator)
            h["per_width"] = max(1.0, 2.0 * loop.highest_rps * int(h["route_max"]))
            if h["is_bound"]:
                lay_out_wheels(memory, self._scenario, loop.highest_rps)
            return
        count = loop.client_count
        h["per_width"] = 1000.0
        h["chunk_over"] = 1
        h["client_count"], h["loop_width"] = count, _LOOP_WIDTH
        size = count * _LOOP_WIDTH
        memory.place("loop_think", np.zeros(size, np.float64))
        memory.place("loop_demand", np.zeros((size, int(h["route_max"])), np.float64))
        memory.place("loop_kind", np.zeros(size, np.int32))
        memory.place("loop_session", np.zeros(count, np.int64))
        memory.place("loop_place", np.full(count, _LOOP_WIDTH, np.int32))
        memory.place("loop_sequence", np.zeros(count, np.int64))
        self._next_of_clients()

    def _open_connections(self, opened: OpenConnections) -> None:
        """Opens the connections that are there at the beginning; requests are numbered after them."""
        if not opened.count:
            return
        h, memory = self._header, self._memory
        memory.place("times", opened.opened_s)
        memory.place("demands", opened.life_s)
        memory.place("kinds", opened.request_class)
        memory.place("sessions", opened.session)
        h["chunk_place"], h["chunk_count"] = 0, opened.count
        while h["chunk_place"] < h["chunk_count"]:
            memory.grow_if_tight()
            loop.act(memory.address, km.OPENS, 0, 0, 0.0)

    def _next_of_clients(self) -> None:
        """What clients ask next, of those that have no more than one request ahead."""
        h, memory, loop = self._header, self._memory, self._arrivals
        assert isinstance(loop, ClosedLoop)
        places, sequences = memory["loop_place"], memory["loop_sequence"]
        for client in np.flatnonzero(places >= _LOOP_WIDTH - 1).tolist():
            sequence = int(sequences[client])
            for k in range(_LOOP_WIDTH):
                entry = client * _LOOP_WIDTH + k
                demands, kind, session = loop.request(client, sequence + k)
                memory["loop_think"][entry] = loop.think_s(client, sequence + k)
                memory["loop_demand"][entry, : len(demands)] = demands
                memory["loop_kind"][entry] = kind
                memory["loop_session"][client] = session
            places[client] = 0
        h["loop_dry"] = 0

    def _next_chunk(self) -> None:
        h, memory, streams = self._header, self._memory, self._arrivals
        assert isinstance(streams, Streams)
        times, demands, kinds, sessions = streams.next_block()
        memory.place("times", times)
        memory.place("demands", np.ascontiguousarray(demands))
        memory.place("kinds", kinds)
        memory.place("sessions", sessions)
        count = int(np.searchsorted(times, math.inf))
        h["chunk_first"] += h["chunk_count"]
        h["chunk_place"], h["chunk_count"] = 0, count
        h["chunk_over"] = count < len(times)

    # The run

    def catch_up(self, until_s: float | None = None) -> None:
        """Lets the requests go on to where control is; or to when it has to hear of something."""
        if not self.is_behind:
            return
        self.is_behind = False
        h, until_s = self._header, self._env.now if until_s is None else until_s
        h["target"] = until_s
        while True:
            why = loop.advance(self._memory.address)
            if why == km.FULL:
                self._memory.grow_if_tight()
            elif why == km.NEXT_CHUNK:
                self._next_chunk()
            elif why == km.NEXT_CLIENTS:
                self._next_of_clients()
            else:
                break
        if h["signal_count"]:
            self._env.is_now(float(h["now"]))
            self._hear()

    def watches(self) -> None:
        """Control waits for something, or does no more."""
        h = self._header
        self.may_signal = bool(self._signals_unasked or h["watch_count"] or h["calm_level"] >= 0)

    def act(self, what: int, instance: int, flag: bool = False, share: float = 0.0) -> int:
        """Does something to an instance, now."""
        self.catch_up()
        h = self._header
        h["now"] = self._env.now
        self._memory.grow_if_tight()
        lost: int = loop.act(self._memory.address, what, instance, int(flag), share)
        if h["signal_count"]:
            self._hear()
        return lost

    def _hear(self) -> None:
        """Tells control what the kernel has signalled, in its order."""
        h, memory = self._header, self._memory
        count = int(h["signal_count"])
        h["signal_count"] = 0
        self.watches()
        for what, which in memory["signals"][:count].tolist():
            if what == km.CALM:
                assert self._calm is not None
                self._calm.succeed()
                self._calm = None
            elif what == km.LIFE:
                self._fresh_life(which)
            else:
                service = int(memory["instances"][which]["service"])
                plane = list(self._planes.values())[service]
                plane.hears(what, which)

    def _fresh_life(self, attempt: int) -> None:
        """What a connection that comes back will ask for."""
        h, memory = self._header, self._memory
        record = memory["attempts"][attempt]
        first = attempt * int(h["route_max"])
        for place, distribution in enumerate(self._demands[int(record["kind"])]):
            u = self._draws.uniform("reconnect", int(record["order"]), place)
            memory["calls"][first + place]["want"] = distribution.quantile_s(u)

    # What the control plane asks

    def plane(self, service: str) -> RequestPlane:
        """The requests of one service."""
        return self._planes[service]

    def highest_waiting(self) -> int:
        """The most requests that have waited at once since this was asked last."""
        self.catch_up()
        highest = int(self._header["highest"])
        self._header["highest"] = self._header["waiting"]
        return highest

    def when_waiting_at_most(self, level: int, rest_s: float) -> simpy.Event:
        """An event for the first moment at which no more than ``level`` requests wait."""
        self.catch_up()
        if self._header["waiting"] <= level:
            return past_event(self._env)
        self._header["calm_level"], self._header["calm_rest"] = level, rest_s
        self.watches()
        event = simpy.Event(self._env)
        self._calm = event
        return event

    def exposed_count(self) -> int:
        """How many of the requests that arrived from 0 on a new version had a part in so far."""
        self.catch_up()
        return int(self._memory["totals"]["v"][TOTALS.index("exposed")])

    def tally(self, with_bins: bool = True) -> Tally:
        """What has happened so far, in bins of time too if they are wanted."""
        self.catch_up()
        memory = self._memory
        totals = memory["totals"]["v"].copy()
        count = int(max(0.0, self._env.now) * self._header["bins_per_s"]) + 1
        bins, latency = memory["tally_bins"][:count].copy(), memory["latencies"].copy()
        # What is counted in bins anyway is not counted twice.
        for name, in_bins in COUNTED_IN_BINS.items():
            totals[TOTALS.index(name)] = np.sum(bins[in_bins])
        totals[TOTALS.index("outcome_0")] += np.sum(latency["count"])
        totals[TOTALS.index("queue_max")] = self._header["highest"]
        by_bin = NO_BIN_LATENCY
        if with_bins:  # asked at the end: they need not be copied
            by_bin = memory["bin_latencies"]["v"].reshape(-1, BUCKETS)[:count]
        return Tally(totals, latency, memory["waits"].copy(), bins, by_bin)

    def table(self) -> RequestTable:
        """Every request that has arrived so far, warm-up included; if they are to be kept."""
        self.catch_up()
        rows = self._memory["rows"][: int(self._header["row_count"])]
        return RequestTable(
            arrival_s=rows["arrival"].copy(),
            start_s=rows["start"].copy(),
            finish_s=rows["finish"].copy(),
            instance=rows["instance"].astype(np.int64),
            new_version=rows["new_version"].astype(np.bool_),
            outcome=rows["outcome"].astype(np.int64),
            attempts=rows["attempts"].astype(np.int64),
            request_class=rows["kind"].astype(np.int64),
        )

    def close(self) -> None:
        """Lets go of the memory; nothing may be asked after it."""
        self._memory.clear()
