"""The compiled engine: the kernel's memory, and the control plane's way into it.

Enters: a scenario, what arrives, what control does. Leaves: the same answers as the reference engine
gives, request by request; `tests/simulation/test_engines_agree.py` holds that. What is rare stays in
Python and in SimPy: what a balancer hears late, how a returned instance's share grows, what control
waits for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from simulation.arrivals import ClosedLoop, Streams
from simulation.balancer import (
    LeastConnections,
    Policy,
    PowerOfTwo,
    Random,
    RoundRobin,
    SourceHash,
    WeightedLeastConnections,
    WeightedRoundRobin,
    policy,
)
from simulation.draws import Draws
from simulation.engines import kernel
from simulation.engines import kernel_memory as km
from simulation.engines.belief import Announcements, slow_start
from simulation.engines.kernel_timers import MARGIN
from simulation.engines.plane import Calls, Clock, RequestPlane, Requests, Seen
from simulation.engines.reference import hosts_of
from simulation.results import OK, RequestTable
from simulation.scenario import Scenario, Service

_POLICIES: dict[type[Policy], int] = {
    RoundRobin: km.ROUND_ROBIN,
    WeightedRoundRobin: km.WEIGHTED_ROUND_ROBIN,
    LeastConnections: km.LEAST,
    WeightedLeastConnections: km.WEIGHTED_LEAST,
    Random: km.RANDOM,
    PowerOfTwo: km.TWO,
    SourceHash: km.HASH,
}
_NO_LIMIT = 1 << 60
_LOOP_WIDTH = 16
_BINS = 4096


class CompiledClock(Clock):
    """SimPy's environment, which lets the kernel go first: up to each of its events."""

    engine: CompiledEngine | None = None

    def step(self) -> None:
        """The next event of control, after everything of requests that comes before it."""
        if self.engine is not None:
            self.engine.advance(self.peek())
        super().step()


class Memory:
    """The arrays that the kernel's addresses point to."""

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}
        self._header = np.zeros(1, km.HEADER)
        self.address = int(self._header.ctypes.data)
        self.header: Any = self._header[0]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[name]

    def own(self, name: str, array: NDArray[Any]) -> int:
        """Keeps an array as long as the memory lives; says where it is."""
        self._arrays[name] = array
        return int(array.ctypes.data)

    def place(self, name: str, array: NDArray[Any]) -> None:
        """Keeps an array whose address stands in the header, by its name."""
        self.header[name] = self.own(name, array)

    def enlarge(self, name: str, size: int) -> None:
        """Makes such an array larger; what is new is zero."""
        old = self._arrays[name]
        array = np.zeros(size, old.dtype)
        array[: len(old)] = old
        self.place(name, array)


class CompiledEngine:
    """All services of a scenario, and the clients that ask them."""

    name = "compiled"

    def __init__(
        self, env: CompiledClock, scenario: Scenario, arrivals: Streams | ClosedLoop, draws: Draws
    ) -> None:
        self._env = env
        self._scenario = scenario
        self._arrivals = arrivals
        self._draws = draws
        self._memory = memory = Memory()
        self._header = h = memory.header
        self._calm: simpy.Event | None = None
        h["now"] = h["t0"] = h["target"] = env.now
        h["lane_time"] = h["check_time"] = math.inf
        h["lane_best"] = h["calm_level"] = -1
        h["attempt_free"] = h["timer_free"] = h["node_free"] = -1
        h["key"] = draws.key
        self._classes = list(scenario.traffic.classes.values())
        self._demands = scenario.demands()
        names = list(scenario.services)
        routes = [[names.index(one) for one in scenario.route_of(k)] for k in self._classes]
        h["route_max"] = max(map(len, routes))
        route = np.zeros((len(routes), int(h["route_max"])), km.I4)
        for kind, services in enumerate(routes):
            route["v"][kind, : len(services)] = services
        memory.place("route", route)
        h["class_count"], h["service_count"] = len(self._classes), len(names)
        self._allocate()
        self._lay_out_services()
        self._lay_out_classes(routes)
        self._open_arrivals()
        self._planes = {
            name: CompiledPlane(env, self, memory, service, number)
            for number, (name, service) in enumerate(scenario.services.items())
        }
        self._grow_if_tight()
        kernel.act(memory.address, km.ENTERS, len(memory["instances"]), 0, 0.0)
        env.engine = self

    # Memory

    def _allocate(self) -> None:
        h, memory = self._header, self._memory
        for name, dtype, size in (
            ("attempts", km.ATTEMPT, 256),
            ("calls", km.CALL, 256 * int(h["route_max"])),
            ("scratch", km.I4, 256 * int(h["route_max"])),
            ("timers", km.TIMER, 2048),
            ("heap", km.I4, 2048),
            ("nodes", km.NODE, 2048),
            ("freed", km.I4, 2048),
            ("signals", km.SIGNAL, 2048),
            ("rows", km.ROW, 1 << 14),
            ("call_rows", km.CALL_ROW, 1 << 14),
        ):
            memory.place(name, np.zeros(size, dtype))
        h["attempt_cap"], h["timer_cap"], h["node_cap"] = 256, 2048, 2048
        h["freed_cap"], h["signal_cap"] = 2048, 2048
        h["row_cap"] = h["call_row_cap"] = 1 << 14
        bins = np.full(_BINS, -1, np.int32).view(km.I4)
        memory.place("bins", bins)
        h["bin_mask"] = _BINS - 1

    def _grow_if_tight(self) -> None:
        """Makes everything larger of which there is less than the next event may take."""
        h, memory = self._header, self._memory
        if not h["tight"]:
            return
        route_max, alive = int(h["route_max"]), int(h["alive"])
        needs = 4 * alive * route_max + 4 * MARGIN

        def larger(size: str, used: int, *names: str) -> None:
            while int(h[size]) - used < needs:
                h[size] = 2 * int(h[size])
            for name in names:
                if len(memory[name]) < int(h[size]):
                    memory.enlarge(name, int(h[size]))

        while int(h["attempt_cap"]) - alive < 2 * MARGIN:
            h["attempt_cap"] = 2 * int(h["attempt_cap"])
        if len(memory["attempts"]) < int(h["attempt_cap"]):
            memory.enlarge("attempts", int(h["attempt_cap"]))
            memory.enlarge("calls", int(h["attempt_cap"]) * route_max)
            memory.enlarge("scratch", int(h["attempt_cap"]) * route_max)
        larger("timer_cap", int(h["timer_count"]), "timers", "heap")
        larger("node_cap", int(h["node_count"]), "nodes")
        larger("freed_cap", 0, "freed")
        larger("signal_cap", int(h["signal_count"]), "signals")
        larger("row_cap", int(h["row_count"]), "rows")
        larger("call_row_cap", int(h["call_row_count"]), "call_rows")
        for k, lane in enumerate(memory["lanes"]):
            self._larger_ring(lane, f"lane {k}", ("entries", "first", "next", "mask"), needs)
        for k, kind in enumerate(memory["classes"]):
            if kind["budget"] >= 0:
                for part in ("asked", "again"):
                    fields = (part, f"{part}_first", f"{part}_next", f"{part}_mask")
                    self._larger_ring(kind, f"{part} {k}", fields, needs)
        for k, service in enumerate(memory["services"]):
            while service["keeps_log"] and service["log_cap"] - service["log_count"] < needs:
                service["log_cap"] *= 2
                log = np.zeros(int(service["log_cap"]), km.ENDED)
                log[: int(service["log_count"])] = memory[f"log {k}"][: int(service["log_count"])]
                service["log"] = memory.own(f"log {k}", log)
        h["tight"] = 0

    def _larger_ring(
        self, record: Any, name: str, fields: tuple[str, str, str, str], needs: int
    ) -> None:
        address, first, following, mask = fields
        size = int(record[mask]) + 1
        begin, end = int(record[first]), int(record[following])
        if size - (end - begin) >= needs:
            return
        while size - (end - begin) < needs:
            size *= 2
        old = self._memory[name]
        ring = np.zeros(size, old.dtype)
        indices = np.arange(begin, end)
        ring[indices & (size - 1)] = old[indices & (len(old) - 1)]
        record[address] = self._memory.own(name, ring)
        record[mask] = size - 1

    # What is laid out once

    def _lay_out_services(self) -> None:
        scenario, memory = self._scenario, self._memory
        services = np.zeros(len(scenario.services), km.SERVICE)
        hosts = [hosts_of(scenario, name) for name in scenario.services]
        instances = np.zeros(sum(len(one.slots) for one in hosts), km.INSTANCE)
        memory.place("services", services)
        memory.place("instances", instances)
        first = 0
        for number, (service, host) in enumerate(
            zip(scenario.services.values(), hosts, strict=True)
        ):
            record = services[number]
            count = len(host.slots)
            record["first"], record["count"] = first, count
            mine = instances[first : first + count]
            exists = np.arange(count) < host.first_count
            rule = service.balancer
            finds_out = rule.health_check is not None or rule.policy == "pull"
            mine["service"] = number
            mine["slots"] = mine["limit"] = host.slots
            mine["head"] = mine["tail"] = -1
            mine["speed"] = host.speeds
            mine["weight"] = mine["base_weight"] = host.weights
            mine["started"] = -math.inf
            mine["told"] = mine["is_believed"] = mine["listening"] = exists
            mine["is_up"] = exists | (not finds_out)
            mine["removed"] = ~exists
            mine["check_even"] = mine["check_odd"] = -1
            self._lay_out_rule(record, service, number, host.weights)
            record["believed_count"] = host.first_count
            first += count

    def _lay_out_rule(
        self, record: Any, service: Service, number: int, weights: Sequence[float]
    ) -> None:
        memory, rule, count = self._memory, service.balancer, int(record["count"])
        draws = self._draws.of_service(number)
        kind = type(policy(rule.policy, weights, draws, will_change=rule.slow_start > 0))
        record["policy"], record["counts"] = _POLICIES[kind], kind.counts
        record["key"] = draws.key
        record["at_balancer"] = rule.queue == "balancer"
        record["pulls"] = rule.policy == "pull"
        record["sticky"], record["requeue"] = rule.sticky, rule.requeue
        record["queue_limit"] = _NO_LIMIT if rule.queue_limit is None else rule.queue_limit
        record["connect_attempts"] = rule.connect_retries.attempts
        record["connect_delay"] = rule.connect_retries.delay
        record["redispatch"] = rule.connect_retries.redispatch
        record["slow_start"] = rule.slow_start
        record["is_even"] = set(weights) == {1.0} and rule.slow_start == 0
        old, new = service.versions.old, service.versions.new
        record["old_factor"], record["old_error"] = old.service_factor, old.error_fraction
        record["new_factor"], record["new_error"] = new.service_factor, new.error_fraction
        record["cold_factor"], record["cold_decay"] = new.cold.factor, new.cold.decay
        record["head"] = record["tail"] = -1
        record["changes"] = count
        leaf_count = 1 << max(1, (count - 1).bit_length())
        leaves = np.zeros(leaf_count, km.LEAF)
        leaves["load"] = math.inf
        leaves["changed"] = np.arange(leaf_count)
        record["leaf_count"] = leaf_count
        record["leaves"] = memory.own(f"leaves {number}", leaves)
        tree = np.zeros(2 * leaf_count, km.I4)
        tree["v"][leaf_count:] = np.arange(leaf_count)
        for node in range(leaf_count - 1, 0, -1):
            tree["v"][node] = tree["v"][2 * node]
        record["tree"] = memory.own(f"tree {number}", tree)
        record["may"] = memory.own(f"may {number}", np.zeros(count, km.U1))
        record["believed"] = memory.own(f"believed {number}", np.zeros(count, km.U1))
        sessions = self._scenario.traffic.sessions
        if rule.sticky:
            record["bound"] = memory.own(f"bound {number}", np.zeros(sessions, km.I4))
        if rule.policy == "source_hash":
            record["favourite"] = memory.own(f"favourite {number}", np.zeros(sessions, km.I4))
        if rule.health_check is not None:
            self._lay_out_checks(record, service, number, draws)
        rolled = self._scenario.rule(list(self._scenario.services)[number])
        if rolled is not None and (rolled.guards is not None or rolled.strategy == "canary"):
            record["keeps_log"], record["log_cap"] = 1, 1 << 12
            record["log"] = memory.own(f"log {number}", np.zeros(1 << 12, km.ENDED))

    def _lay_out_checks(self, record: Any, service: Service, number: int, draws: Draws) -> None:
        memory, check = self._memory, service.balancer.health_check
        assert check is not None
        first, count = int(record["first"]), int(record["count"])
        record["has_checks"] = 1
        record["interval"], record["timeout"] = check.interval, check.timeout
        record["rise"], record["fall"] = check.rise, check.fall
        times = [self._env.now + draws.uniform("phase", k) * check.interval for k in range(count)]
        memory["instances"]["first_check"][first : first + count] = times
        order = np.argsort(times, kind="stable").astype(np.int32)
        record["check_order"] = memory.own(f"checks {number}", order)

    def _lay_out_classes(self, routes: Sequence[Sequence[int]]) -> None:
        memory, h = self._memory, self._header
        classes = np.zeros(len(self._classes), km.CLASS)
        lanes: list[bool] = []
        for number, one in enumerate(self._classes):
            record, rule = classes[number], one.retries
            record["holds_slot"], record["cancels"] = one.holds_slot, one.cancel_on_disconnect
            record["attempts"], record["cut"] = rule.attempts, rule.cut
            record["backoff"], record["factor"] = rule.backoff, rule.factor
            record["jitter"] = rule.jitter
            record["budget"] = -1.0 if rule.budget is None else rule.budget
            record["reconnects"] = one.reconnects
            record["route_length"] = len(routes[number])
            record["lane"] = -1
            if one.client_timeout is not None:
                record["lane"], record["timeout"] = len(lanes), one.client_timeout
                lanes.append(False)
            for part in ("asked", "again"):
                record[part] = memory.own(f"{part} {number}", np.zeros(1024, np.float64))
                record[f"{part}_mask"] = 1023
        services = memory["services"]
        for number, service in enumerate(self._scenario.services.values()):
            services[number]["lane"] = -1
            if service.balancer.queue_timeout is not None:
                services[number]["lane"] = len(lanes)
                services[number]["queue_timeout"] = service.balancer.queue_timeout
                lanes.append(True)
        records = np.zeros(max(1, len(lanes)), km.LANE)
        for number, waits in enumerate(lanes):
            records[number]["waits"], records[number]["mask"] = waits, 1023
            entries = memory.own(f"lane {number}", np.zeros(1024, km.TIMER))
            records[number]["entries"] = entries
        if not lanes:
            memory.own("lane 0", np.zeros(1024, km.TIMER))
            records[0]["mask"] = 1023
        h["lane_count"] = len(lanes)
        memory.place("classes", classes)
        memory.place("lanes", records)

    def _open_arrivals(self) -> None:
        h, memory, loop = self._header, self._memory, self._arrivals
        if isinstance(loop, Streams):
            h["per_width"] = max(1.0, 2.0 * loop.highest_rps * int(h["route_max"]))
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

    def advance(self, until_s: float) -> None:
        """Lets the requests go on, up to a moment or to when control has to hear of something."""
        h = self._header
        h["target"] = until_s
        while True:
            why = kernel.advance(self._memory.address)
            if why == km.FULL:
                self._grow_if_tight()
            elif why == km.NEXT_CHUNK:
                self._next_chunk()
            elif why == km.NEXT_CLIENTS:
                self._next_of_clients()
            else:
                break
        if h["signal_count"]:
            self._env.is_now(float(h["now"]))
            self._hear()

    def act(self, what: int, instance: int, flag: bool = False, share: float = 0.0) -> int:
        """Does something to an instance, now."""
        h = self._header
        h["now"] = self._env.now
        self._grow_if_tight()
        lost: int = kernel.act(self._memory.address, what, instance, int(flag), share)
        if h["signal_count"]:
            self._hear()
        return lost

    def _hear(self) -> None:
        """Tells control what the kernel has signalled, in its order."""
        h, memory = self._header, self._memory
        count = int(h["signal_count"])
        h["signal_count"] = 0
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
        """The most requests that have waited at once so far."""
        return int(self._header["highest"])

    def when_waiting_at_most(self, level: int) -> simpy.Event:
        """An event for the first moment at which no more than ``level`` requests wait."""
        event = simpy.Event(self._env)
        if self._header["waiting"] <= level:
            return event.succeed()
        self._header["calm_level"] = level
        self._calm = event
        return event

    def requests(self) -> Requests:
        """Everything that has arrived so far."""
        h, memory = self._header, self._memory
        rows = memory["rows"][: int(h["row_count"])]
        calls = memory["call_rows"][: int(h["call_row_count"])]
        table = RequestTable(
            arrival_s=rows["arrival"].copy(),
            start_s=rows["start"].copy(),
            finish_s=rows["finish"].copy(),
            instance=rows["instance"].astype(np.int64),
            new_version=rows["new_version"].astype(np.bool_),
            outcome=rows["outcome"].astype(np.int64),
            attempts=rows["attempts"].astype(np.int64),
            request_class=rows["kind"].astype(np.int64),
        )
        return Requests(
            table,
            Calls(
                service=calls["service"].astype(np.int64),
                arrival_s=calls["arrival"].copy(),
                start_s=calls["start"].copy(),
                finish_s=calls["finish"].copy(),
                released_s=calls["released"].copy(),
                outcome=calls["outcome"].astype(np.int64),
                takes_slot=calls["takes_slot"].astype(np.bool_),
            ),
        )


class CompiledPlane:
    """The requests of one service, see `RequestPlane`; instances are numbered within it."""

    def __init__(
        self, env: Clock, engine: CompiledEngine, memory: Memory, service: Service, number: int
    ) -> None:
        self._env = env
        self._engine = engine
        self._service = service
        self._memory = memory
        self._number = number
        record = memory["services"][number]
        self._record = record
        self._first = int(record["first"])
        self._instances = memory["instances"][self._first : self._first + int(record["count"])]
        self._announcements = Announcements(
            env,
            service.balancer.propagation_delay,
            len(self._instances),
            hears=self._hears,
            hears_it_is_gone=self._is_gone,
        )
        self._idle: dict[int, simpy.Event] = {}
        self._healthy: dict[int, simpy.Event] = {}

    def _act(self, what: int, instance: int, flag: bool = False, share: float = 0.0) -> int:
        return self._engine.act(what, self._first + instance, flag, share)

    def _hears(self, instance: int, in_pool: bool) -> None:
        self._act(km.HEARS, instance, in_pool)

    def _is_gone(self, instance: int) -> None:
        self._instances[instance]["removed"] = 1

    def hears(self, what: int, which: int) -> None:
        """The kernel has signalled something of an instance."""
        instance = which - self._first
        if what == km.IDLE:
            self._idle.pop(instance).succeed()
        elif what == km.HEALTHY:
            self._healthy.pop(instance).succeed()
        else:
            ramp = int(self._instances[instance]["ramp"])

            def gives(share: float) -> bool:
                is_in = int(self._instances[instance]["ramp"]) == ramp
                if is_in:
                    self._act(km.SHARES, instance, share=share)
                return is_in

            self._env.process(slow_start(self._env, self._service.balancer.slow_start, gives))

    def set_pool(self, instance: int, in_pool: bool) -> None:
        """Tells the balancer whether to send to the instance; that it should not, it hears late."""
        self._announcements.tell(instance, in_pool)

    def remove(self, instance: int) -> None:
        """Tells the balancer that the drained instance is gone: sessions that stick to it leave."""
        self._announcements.remove(instance)

    def stop(self, instance: int) -> None:
        """From now on the instance answers nothing new."""
        self._act(km.LISTENS, instance, False)

    def start(self, instance: int, new_version: bool) -> None:
        """It listens, with a version, and is cold."""
        self._instances[instance]["new_version"] = new_version
        self._instances[instance]["started"] = self._env.now
        self._act(km.LISTENS, instance, True)

    def cut(self, instance: int) -> int:
        """Ends everything in service or queued at the instance; says how many clients lost."""
        return self._act(km.CUTS, instance)

    def crash(self, instance: int) -> None:
        """It died on its own: it listens no more, and everything there ends as `error`."""
        self._act(km.CRASHES, instance)

    def old_answers_wrongly(self) -> None:
        """From now on every answer of the old version is wrong: its database was contracted."""
        self._record["old_is_wrong"] = 1

    def count(self, instance: int) -> int:
        """Requests in service or queued at the instance, and connections open there."""
        one = self._instances[instance]
        return int(one["at_work"]) + int(one["queued"]) + int(one["open"])

    def when_idle(self, instance: int) -> simpy.Event:
        """An event for the first moment at which `count` is 0."""
        if self.count(instance) == 0:
            return simpy.Event(self._env).succeed()
        self._instances[instance]["watch_idle"] = 1
        return self._idle.setdefault(instance, simpy.Event(self._env))

    def when_healthy(self, instance: int) -> simpy.Event:
        """An event for when it has passed its checks often enough, counted from now."""
        if self._service.balancer.health_check is None:
            return simpy.Event(self._env).succeed()
        self._instances[instance]["passed"] = 0
        self._instances[instance]["watch_healthy"] = 1
        return self._healthy.setdefault(instance, simpy.Event(self._env))

    def seen(self, since_s: float, until_s: float, new_version: bool | None = None) -> Seen:
        """What ended after ``since_s``, up to ``until_s``; of one version's answers only, or all."""
        log = self._memory[f"log {self._number}"][: int(self._record["log_count"])]
        first, last = np.searchsorted(log["finish"], [since_s, until_s], side="right")
        ended = log[first:last]
        if new_version is not None:
            ended = ended[(ended["new_version"] == new_version) & (ended["served"] == 1)]
        good = ended[ended["outcome"] == OK]
        latency_s = good["latency"][good["takes_slot"] == 1]
        return Seen(len(ended), len(ended) - len(good), latency_s)
