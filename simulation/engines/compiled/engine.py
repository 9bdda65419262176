"""The compiled engine: it simulates the requests in a kernel that Numba compiles.

It gives the same results as the reference engine, request by request;
`tests/simulation/engines/test_engines_agree.py` checks this. Rare events stay in Python and SimPy:
delayed announcements to a balancer, slow starts, and the events that control waits for.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from simulation.engines.compiled.kernel import loop
from simulation.engines.compiled.kernel import memory as km
from simulation.engines.compiled.layout import lay_out_wheels
from simulation.engines.compiled.plane import CompiledPlane
from simulation.engines.compiled.streams import QuickGenerator, running_sum
from simulation.engines.compiled.used_memory import USED_MEMORY, Layout
from simulation.requests.arrivals import ClosedLoop, OpenConnections, Streams
from simulation.requests.draws import Draws
from simulation.requests.identity import Same
from simulation.requests.plane import RequestPlane, SimulatedClock, past_event
from simulation.results.request_ends import (
    ALL,
    LATE,
    EndedRequests,
    StretchEdge,
    classes_counted_apart,
)
from simulation.results.run_result import IN_FLIGHT, OK, EngineName, RequestTable
from simulation.results.tally import BIN, BUCKETS, COUNTED_IN_BINS, NO_BIN_LATENCY, TOTALS, Tally
from simulation.scenario.limits import ATTEMPT_BITS
from simulation.scenario.model import Scenario
from simulation.scenario.units import Integers

_NEW_DEMANDS = {km.NEW_LIFE: "reconnect", km.NEW_DEMAND: "retry demand"}
"""The purpose of the random numbers that each of the kernel's requests for new demands needs."""

_OUTCOME_OK, _QUEUE_MAX, _FAILED_WITH_LATENCY = (
    TOTALS.index(name) for name in ("outcome_0", "queue_max", "failed_with_latency")
)
_COUNTED_IN_BINS = [TOTALS.index(name) for name in COUNTED_IN_BINS]
_FIELDS_OF_BINS = [(BIN.names or ()).index(field) for field in COUNTED_IN_BINS.values()]

_LOOP_WIDTH = 16
"""Number of requests that are drawn ahead for each client of a closed loop."""


class CompiledClock(SimulatedClock):
    """SimPy's environment for the control plane, to which the kernel catches up when needed."""

    engine: CompiledEngine | None = None

    def step(self) -> None:
        """Process the next event of control.

        The requests before this event are simulated first only when the kernel may signal something
        to control. Otherwise they are simulated when control next acts on the requests or asks about
        them (`CompiledEngine.catch_up`): this makes fewer and longer runs of the kernel.
        """
        engine = self.engine
        if engine is not None:
            engine.is_behind = True
            if engine.may_signal:
                engine.catch_up(self._queue[0][0] if self._queue else math.inf)
        super().step()


class CompiledEngine:
    """All services of a scenario and the clients that send requests to them.

    Attributes:
        is_behind: Whether the requests are not yet simulated up to the control plane's time.
        may_signal: Whether the kernel may have a signal for control before control's next event.
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
        """Lay the scenario out in the kernel's memory.

        Args:
            env: The clock of the control plane.
            scenario: The scenario to simulate.
            arrivals: The requests, of an open or a closed loop.
            draws: The random numbers that are addressed by purpose and number.
            bin_s: Width of the bins of time, in seconds.
            horizon_s: The latest end of the simulation, in seconds; bins reach up to there.
            keep_requests: Whether every request is recorded.
        """
        self.is_behind = False
        rules = [service.balancer for service in scenario.services.values()]
        # Slow starts are signalled whether or not control waits for something.
        self._always_signals = any(rule.slow_start > 0 for rule in rules)
        self.may_signal = self._always_signals
        self._env = env
        self._scenario = scenario
        self._arrivals = arrivals
        self._draws = draws
        self._layout = Layout(Same(scenario), env.now, bin_s, horizon_s, keep_requests)
        self._memory = memory = USED_MEMORY.take(self._layout, draws)
        self._header = memory.header
        self._now, self._target = memory.field("now"), memory.field("target")
        self._tight, self._signal_count = memory.field("tight"), memory.field("signal_count")
        self._watch_count = memory.field("watch_count")
        self._backlog_level = memory.field("backlog_level")
        self._backlog_event: simpy.Event | None = None
        # Log entries of late ends once no request from before the edge is left.
        self._ends_at_edge = 0
        self._demands = scenario.demands()
        self._open_arrivals()
        self._planes = {
            name: CompiledPlane(env, self, memory, service, number)
            for number, (name, service) in enumerate(scenario.services.items())
        }
        self._planes_in_order = list(self._planes.values())
        self._service_of = memory["instances"]["service"].data
        memory.grow_if_tight()
        loop.act(memory.address, km.BEGIN_RUN, len(memory["instances"]), 0, 0.0)
        self._open_shared_connections()
        if isinstance(arrivals, Streams) and arrivals.opened is not None:
            self._open_connections(arrivals.opened)
        env.engine = self

    def _open_arrivals(self) -> None:
        h, memory, loop = self._header, self._memory, self._arrivals
        if isinstance(loop, Streams):
            loop.quicken(running_sum, QuickGenerator)
            h["per_width"] = max(1.0, 2.0 * loop.highest_rps * int(h["route_max"]))
            if h["is_fast"]:
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
        self._draw_for_clients()

    def _open_shared_connections(self) -> None:
        """Open the connections that requests share, where a balancer balances connections."""
        memory = self._memory
        for service in memory["services"]:
            while service["shared_next"] < service["shared_count"]:
                memory.grow_if_tight()
                loop.act(memory.address, km.OPEN_SHARED, int(service["first"]), 0, 0.0)

    def _open_connections(self, opened: OpenConnections) -> None:
        """Open the connections that exist at the beginning; requests are numbered after them."""
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
            loop.act(memory.address, km.OPEN_CONNECTIONS, 0, 0, 0.0)

    def _draw_for_clients(self) -> None:
        """Draw the next requests of the clients that have at most one request drawn ahead."""
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

    def _draw_chunk(self) -> None:
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
        """Simulate the requests up to the control plane's time, or up to the kernel's next signal.

        Args:
            until_s: The time to reach, in seconds; the control plane's time when left out.
        """
        if not self.is_behind:
            return
        self.is_behind = False
        until_s = self._env.now if until_s is None else until_s
        self._target[0] = until_s
        while True:
            reason = loop.advance(self._memory.address)
            if reason == km.DONE:
                if not self._signal_count[0] or self._handle_signals():
                    break
                self._target[0] = until_s
            elif reason == km.FULL:
                self._memory.grow_if_tight()
            elif reason == km.NEXT_CHUNK:
                self._draw_chunk()
            else:
                self._draw_for_clients()

    def update_may_signal(self) -> None:
        """Update `may_signal` after a change of what control waits for."""
        self.may_signal = (
            self._always_signals or self._watch_count[0] > 0 or self._backlog_level[0] >= 0
        )

    def act(self, action: int, instance: int, flag: bool = False, share: float = 0.0) -> int:
        """Apply an action of `kernel.memory` to an instance, now.

        Args:
            action: The action, such as `kernel.memory.SET_LISTENING`.
            instance: The instance, numbered over all services.
            flag: The new value, for actions that set one.
            share: The new share of the traffic, for `SET_SHARE`.

        Returns:
            How many calls ended by the action while a client waited for them.
        """
        self.catch_up()
        self._now[0] = self._env.now
        if self._tight[0]:
            self._memory.grow_if_tight()
        lost: int = loop.act(self._memory.address, action, instance, int(flag), share)
        if self._signal_count[0]:
            self._handle_signals()
        return lost

    def _handle_signals(self) -> bool:
        """Fire the events that the kernel has signalled, in the order of the signals.

        Returns:
            False when no signal was for control: the kernel only needed new demands.
        """
        memory = self._memory
        count = self._signal_count[0]
        self._signal_count[0] = 0
        signals = []
        for signal, which in memory["signals"][:count].tolist():
            if signal in _NEW_DEMANDS:
                self._draw_demands(_NEW_DEMANDS[signal], which)
            else:
                signals.append((signal, which))
        if not signals:
            return False
        self._env.set_now(self._now[0])
        self.update_may_signal()
        for signal, which in signals:
            if signal == km.BACKLOG_DOWN:
                assert self._backlog_event is not None
                self._backlog_event.succeed()
                self._backlog_event = None
            else:
                self._planes_in_order[self._service_of[which]].on_signal(signal, which)
        return True

    def _draw_demands(self, purpose: str, attempt: int) -> None:
        """Draw the demands of the attempt after ``attempt``, at each place of the route."""
        h, memory = self._header, self._memory
        record = memory["attempts"][attempt]
        first = attempt * int(h["route_max"])
        for place, distribution in enumerate(self._demands[int(record["kind"])]):
            u = self._draws.uniform(purpose, int(record["order"]), place)
            memory["next_wants"][first + place] = distribution.quantile_s(u)

    # Questions of the control plane

    def plane(self, service: str) -> RequestPlane:
        """Return the requests of one service."""
        return self._planes[service]

    def pop_highest_waiting(self) -> int:
        """Return the most requests that waited at once since the last such question."""
        self.catch_up()
        highest = int(self._header["highest"])
        self._header["highest"] = self._header["waiting"]
        return highest

    def when_waiting_at_most(self, level: int, rest_s: float) -> simpy.Event:
        """Return an event that fires when no more than ``level`` requests wait."""
        self.catch_up()
        if self._header["waiting"] <= level:
            return past_event(self._env)
        self._header["backlog_level"], self._header["backlog_rest"] = level, rest_s
        self.update_may_signal()
        event = simpy.Event(self._env)
        self._backlog_event = event
        return event

    def exposed_count(self) -> int:
        """Return how many requests that arrived from time 0 on reached a new version so far."""
        self.catch_up()
        return int(self._memory["totals"]["v"][TOTALS.index("exposed")])

    def tally(self, with_bins: bool = True) -> Tally:
        """Return the counts of all requests so far; with ``with_bins`` also in bins of time."""
        self.catch_up()
        memory = self._memory
        totals = self._outcome_totals()
        count = self._bin_count()
        bins, latency, wait = memory["tally_bins"][:count], memory["latencies"], memory["waits"]
        # The kernel counts these totals in bins of time only.
        sums = bins.view(np.int64).reshape(count, -1).sum(axis=0)
        totals[_COUNTED_IN_BINS] = sums[_FIELDS_OF_BINS]
        totals[_QUEUE_MAX] = self._header["highest"]
        if not with_bins:
            return Tally(totals, latency.copy(), wait.copy(), bins.copy(), NO_BIN_LATENCY)
        # The result is made at once, so the counts need no copy.
        by_bin = memory["bin_latencies"]["v"].reshape(-1, BUCKETS)[:count]
        return Tally(totals, latency, wait, bins, by_bin)

    def _outcome_totals(self) -> Integers:
        """Return the totals that are not counted in bins; the kernel counts no `ok` that has a latency."""
        totals: Integers = self._memory["totals"]["v"].copy()
        totals[_OUTCOME_OK] += self._memory["latencies"]["count"].sum()
        return totals

    def mark_edge(self) -> StretchEdge:
        """Make the present time an edge; return the requests that have ended, and log later ends."""
        self.catch_up()
        totals = self._outcome_totals()
        outcomes = totals[_OUTCOME_OK : _OUTCOME_OK + IN_FLIGHT]
        failed_count = int(outcomes.sum() - outcomes[OK])
        ended: dict[int | None, EndedRequests] = {
            ALL: EndedRequests.of(
                int(outcomes.sum()),
                failed_count,
                int(totals[_FAILED_WITH_LATENCY]),
                self._memory["latencies"],
            )
        }
        counts = self._memory["class_ends"]["v"].reshape(-1, 2)
        histograms = self._memory["class_latencies"].reshape(-1, BUCKETS)
        for place, kind in enumerate(classes_counted_apart(self._scenario)):
            ended_count, failed_count = counts[place].tolist()
            slow_count = failed_count if self._memory["classes"][kind]["holds_slot"] else 0
            ended[kind] = EndedRequests.of(ended_count, failed_count, slow_count, histograms[place])
        self._header["edge"] = self._env.now
        late_count = int(self._header["late_count"])
        self._ends_at_edge = late_count + len(self._in_flight_at_edge())
        return StretchEdge(ended, late_count)

    def late(self) -> NDArray[Any]:
        """Return a `LATE` for each request that was in flight at an edge."""
        attempts = self._in_flight_at_edge()
        in_flight = np.zeros(len(attempts), LATE)
        in_flight["arrival"], in_flight["finish"] = attempts["request_time"], math.nan
        in_flight["number"], in_flight["kind"] = attempts["order"] >> ATTEMPT_BITS, attempts["kind"]
        in_flight["outcome"] = IN_FLIGHT
        ended = self._memory["late"][: int(self._header["late_count"])]
        return np.concatenate([ended, in_flight])

    def in_flight_count(self) -> int:
        """Return how many of the requests that arrived before the last edge are still in flight."""
        self.catch_up()
        return self._ends_at_edge - int(self._header["late_count"])

    def _in_flight_at_edge(self) -> NDArray[Any]:
        """Return the latest attempts of the requests in flight that arrived before the last edge."""
        self.catch_up()
        attempts = self._memory["attempts"][: int(self._header["attempt_used"])]
        is_own = (attempts["request_time"] >= 0) & (attempts["request_time"] < self._header["edge"])
        is_last = (attempts["is_free"] == 0) & (attempts["superseded"] == 0)
        is_open = (attempts["outcome"] == IN_FLIGHT) | (attempts["to_come"] > 0)
        return np.asarray(attempts[is_own & is_last & is_open])

    def losses(self) -> NDArray[Any]:
        """Return a `simulation.results.tally.LOSS` for each request that was lost from time 0 on."""
        self.catch_up()
        return self._memory["losses"][: int(self._header["loss_count"])]

    def table(self) -> RequestTable:
        """Return every request that has arrived so far, warm-up included, where they are kept."""
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

    def _bin_count(self) -> int:
        """Return the number of bins of time so far."""
        return int(max(0.0, self._env.now) * self._header["bins_per_s"]) + 1

    def close(self) -> None:
        """Give the memory of the run to the next one; no other method may be called afterwards."""
        self._env.set_now(max(float(self._env.now), float(self._header["now"])))
        USED_MEMORY.keep(self._layout, self._memory, self._bin_count())
        for plane in self._planes_in_order:
            vars(plane).clear()
        self._env.engine = None
        vars(self).clear()
