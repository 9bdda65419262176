"""The layout of a scenario in the compiled engine's memory, before the simulation begins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from simulation.engines.compiled.kernel import memory as km
from simulation.engines.compiled.kernel.timers import MARGIN
from simulation.engines.compiled.memory import Memory, rings, zeros_on_demand
from simulation.requests.draws import Draws
from simulation.requests.hosts import hosts_of
from simulation.requests.policies import (
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
from simulation.results.request_ends import LATE, classes_counted_apart
from simulation.results.tally import BIN, BUCKET, BUCKETS, LOSS, TOTALS
from simulation.scenario.model import Scenario, Service
from simulation.scenario.traffic import RequestClass

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
_BINS = 4096
"""Number of bins of the timer wheel."""
_NEAR_BINS = 16384
"""Number of bins that fit into a near cache of the processor."""
_MOST_BINS = (1 << 20) - 1
"""Maximum number of bins of a wheel; entries further ahead share bins with nearer ones."""
_FIRST_LEVELS = 1024
"""Number of connections of an instance for which there is room at the beginning."""


def lay_out(
    memory: Memory,
    scenario: Scenario,
    *,
    now_s: float,
    bin_s: float,
    horizon_s: float,
    keep_requests: bool,
) -> None:
    """Lay out what is the same in every replication of a scenario; `lay_out_draws` does the rest.

    The arguments are those of `engines.compiled.engine.CompiledEngine`.
    """
    h = memory.header
    h["now"] = h["t0"] = h["target"] = now_s
    h["lane_time"] = h["check_time"] = math.inf
    h["lane_best"] = h["backlog_level"] = -1
    h["attempt_free"] = h["timer_free"] = h["node_free"] = -1
    h["keeps_rows"] = keep_requests
    h["needs"] = MARGIN
    h["bins_per_s"] = 1.0 / bin_s
    bins = int(horizon_s * h["bins_per_s"]) + 2
    memory.place("tally_bins", np.zeros(bins, BIN))
    memory.place("bin_latencies", zeros_on_demand(bins * BUCKETS, km.U4))
    slow_over_s = scenario.objectives.latency_p99
    h["slow_over"] = math.inf if slow_over_s is None else slow_over_s
    classes = list(scenario.traffic.classes.values())
    names = list(scenario.services)
    routes = [[names.index(name) for name in scenario.route_of(kind)] for kind in classes]
    h["route_max"] = max(map(len, routes))
    route = np.zeros((len(routes), int(h["route_max"])), km.I4)
    for kind, services in enumerate(routes):
        route["v"][kind, : len(services)] = services
    memory.place("route", route)
    h["class_count"], h["service_count"] = len(classes), len(names)
    layout = _Layout(memory, scenario)
    layout.arrays()
    layout.services()
    layout.classes(routes)


def lay_out_draws(memory: Memory, scenario: Scenario, draws: Draws) -> None:
    """Lay out what differs between the replications of a scenario, once the rest is laid out."""
    memory.header["key"] = draws.key
    for number, service in enumerate(scenario.services.values()):
        record, own_draws = memory["services"][number], draws.of_service(number)
        record["key"] = own_draws.key
        check = service.balancer.health_check
        if check is None:
            continue
        first, count, now_s = int(record["first"]), int(record["count"]), memory.header["now"]
        times = [
            float(now_s) + own_draws.uniform("phase", k) * check.interval for k in range(count)
        ]
        memory["instances"]["first_check"][first : first + count] = times
        order = np.argsort(times, kind="stable").astype(np.int32)
        record["check_order"] = memory.own(f"checks {number}", order)


class _Layout:
    """Writes a scenario into the kernel's memory: shared arrays, services, classes of requests."""

    def __init__(self, memory: Memory, scenario: Scenario) -> None:
        self._memory = memory
        self._header = memory.header
        self._scenario = scenario
        self._classes = list(scenario.traffic.classes.values())

    def arrays(self) -> None:
        h, memory = self._header, self._memory
        for name, dtype, size in (
            ("attempts", km.ATTEMPT, 256),
            ("calls", km.CALL, 256 * int(h["route_max"])),
            ("scratch", km.I4, 256 * int(h["route_max"])),
            ("next_wants", km.F8, 256 * int(h["route_max"])),
            ("timers", km.TIMER, 2048),
            ("heap", km.I4, 2048),
            ("nodes", km.NODE, 2048),
            ("freed", km.I4, 2048),
            ("signals", km.SIGNAL, 2048),
            ("rows", km.ROW, 2048),
            ("losses", LOSS, 1024),
            ("late", LATE, 1024),
            ("wheels", km.WHEEL, 0),
            ("recent", km.F8, km.RECENT),
            ("totals", km.I8, len(TOTALS)),
            ("latencies", BUCKET, BUCKETS),
            ("waits", BUCKET, BUCKETS),
        ):
            memory.place(name, np.zeros(size, dtype))
        h["attempt_cap"], h["timer_cap"], h["node_cap"] = 256, 2048, 2048
        h["freed_cap"], h["signal_cap"] = 2048, 2048
        h["row_cap"], h["loss_cap"], h["late_cap"] = 2048, 1024, 1024
        bins = np.full(_BINS, -1, np.int32).view(km.I4)
        memory.place("bins", bins)
        h["bin_mask"] = _BINS - 1

    def services(self) -> None:
        scenario, memory = self._scenario, self._memory
        services = np.zeros(len(scenario.services), km.SERVICE)
        hosts = [hosts_of(scenario, name) for name in scenario.services]
        instances = np.zeros(sum(len(host.slots) for host in hosts), km.INSTANCE)
        memory.place("services", services)
        memory.place("instances", instances)
        first = 0
        for number, (service, host) in enumerate(
            zip(scenario.services.values(), hosts, strict=True)
        ):
            record = services[number]
            count = len(host.slots)
            record["first"], record["count"] = first, count
            own_instances = instances[first : first + count]
            exists = np.arange(count) < host.first_count
            rule = service.balancer
            notices_down = rule.health_check is not None or rule.policy == "pull"
            own_instances["service"] = number
            own_instances["slots"] = own_instances["limit"] = host.slots
            own_instances["head"] = own_instances["tail"] = -1
            own_instances["speed"] = host.speeds
            own_instances["weight"] = own_instances["base_weight"] = host.weights
            own_instances["started"] = -math.inf
            own_instances["announced"] = own_instances["is_believed"] = own_instances[
                "listening"
            ] = exists
            own_instances["is_up"] = exists | (not notices_down)
            own_instances["removed"] = ~exists
            own_instances["check_even"] = own_instances["check_odd"] = -1
            self._rule(record, service, number, host.weights)
            record["believed_count"] = host.first_count
            first += count
        h, slots_max = self._header, int(instances["slots"].max())
        h["instance_count"], h["slots_max"] = first, slots_max
        memory.place("free_at", np.full(first * slots_max, -math.inf).view(km.F8))
        instances["last"] = -math.inf
        h["is_fast"] = has_fast_path(scenario)
        self._shared_connections()

    def _shared_connections(self) -> None:
        """Lay out the connections that requests share, all closed."""
        services, first = self._memory["services"], 0
        for record, service in zip(services, self._scenario.services.values(), strict=True):
            rule = service.balancer
            if rule.balances_connections:
                record["shared_first"], record["shared_count"] = first, rule.connections
                record["max_age"] = rule.max_age or 0.0
                first += rule.connections
        shared = np.zeros(first, km.SHARED)
        shared["instance"] = -1
        self._memory.place("shared", shared)

    def _rule(self, record: Any, service: Service, number: int, weights: Sequence[float]) -> None:
        memory, rule, count = self._memory, service.balancer, int(record["count"])
        any_draws = Draws(0, 0)  # only the policy's class is of interest
        kind = type(policy(rule.policy, weights, any_draws, will_change=rule.slow_start > 0))
        record["policy"], record["counts"] = _POLICIES[kind], kind.counts
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
        record["cold_factor"] = new.cold.factor
        record["cold_decay"] = new.cold.decay or math.inf
        record["cold_requests"] = new.cold.requests or 0.0
        record["head"] = record["tail"] = -1
        record["changes"] = count
        leaf_count = 1 << max(1, (count - 1).bit_length())
        levels = _FIRST_LEVELS if kind.counts else 0
        record["level_cap"] = levels
        leaves = rings(leaf_count + levels)
        leaves["changed"][:leaf_count] = np.arange(leaf_count)
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
            record["sticky_instances"] = memory.own(
                f"sticky_instances {number}", np.zeros(sessions, km.I4)
            )
        if rule.policy == "source_hash":
            keys = max(sessions, rule.connections) if rule.balances_connections else sessions
            record["favourite"] = memory.own(f"favourite {number}", np.zeros(keys, km.I4))
        if rule.health_check is not None:
            self._checks(record, service)
        rolled = self._scenario.rule(list(self._scenario.services)[number])
        if rolled is not None and (rolled.guards is not None or rolled.strategy == "canary"):
            record["keeps_log"], record["log_cap"] = 1, 1 << 12
            record["log"] = memory.own(f"log {number}", np.zeros(1 << 12, km.ENDED))

    def _checks(self, record: Any, service: Service) -> None:
        check = service.balancer.health_check
        assert check is not None
        record["has_checks"] = 1
        record["interval"], record["timeout"] = check.interval, check.timeout
        record["rise"], record["fall"] = check.rise, check.fall

    def classes(self, routes: Sequence[Sequence[int]]) -> None:
        memory, h = self._memory, self._header
        classes = np.zeros(len(self._classes), km.CLASS)
        lanes: list[bool] = []
        for number, kind in enumerate(self._classes):
            record, rule = classes[number], kind.retries
            record["holds_slot"], record["cancels"] = kind.holds_slot, kind.cancel_on_disconnect
            record["attempts"], record["cut"] = rule.attempts, rule.cut
            record["backoff"], record["factor"] = rule.backoff, rule.factor
            record["jitter"] = rule.jitter
            record["budget"] = -1.0 if rule.budget is None else rule.budget
            record["draws_demand"] = rule.draws_demand
            if kind.reconnects is not None:
                again = kind.reconnects
                record["reconnects"] = 1
                record["again_backoff"], record["again_factor"] = again.backoff, again.factor
                record["again_jitter"], record["handshake"] = again.jitter, again.cost
            record["route_length"] = len(routes[number])
            record["lane"] = -1
            if kind.client_timeout is not None:
                record["lane"], record["timeout"] = len(lanes), kind.client_timeout
                lanes.append(False)
            for part in ("sent", "retried"):
                record[part] = memory.own(f"{part} {number}", np.zeros(1024, np.float64))
                record[f"{part}_mask"] = 1023
        apart = classes_counted_apart(self._scenario)
        classes["apart"] = -1
        classes["apart"][list(apart)] = np.arange(len(apart))
        memory.place("class_ends", np.zeros(2 * len(apart), km.I8))
        memory.place("class_latencies", np.zeros(len(apart) * BUCKETS, BUCKET))
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


def lay_out_wheels(memory: Memory, scenario: Scenario, highest_rps: float) -> None:
    """Lay out the wheels of the fast path, which hold the events that are known ahead.

    There are eight bins for each expected attempt, or down to two where the events lie so far ahead
    that eight would exceed a near cache.
    """
    classes = list(scenario.traffic.classes.values())
    attempts_rps = max(1.0, highest_rps * (1 + max(kind.retries.attempts for kind in classes)))
    ahead_s = max(4 * demand.mean_s() for route in scenario.demands() for demand in route)
    ahead_s = max([ahead_s, *(_known_ahead_s(kind) for kind in classes)])
    per_s = attempts_rps * min(8.0, max(2.0, _NEAR_BINS / (ahead_s * attempts_rps)))
    size = 1 << max(10, math.ceil(math.log2(min(ahead_s * per_s, _MOST_BINS) + 1)))
    wheels = np.zeros(3, km.WHEEL)
    for number, wheel in enumerate(wheels):
        wheel["bins_per_s"], wheel["mask"] = per_s, size - 1
        wheel["bins"] = memory.own(f"bins {number}", np.zeros(size, km.ENTRY))
        wheel["words"] = memory.own(f"words {number}", np.zeros(size // 32, np.int64))
        wheel["entries"] = memory.own(f"entries {number}", np.zeros(1024, km.ENTRY))
        wheel["cap"], wheel["free"] = 1024, -1
    memory.place("wheels", wheels)


def _known_ahead_s(kind: RequestClass) -> float:
    """Return how far ahead most events of a client lie: its timeout plus the fourth backoff."""
    rule = kind.retries
    longest_s = rule.wait_s(min(rule.attempts, 4), 1.0)
    return (kind.client_timeout or 0.0) + (longest_s if rule.attempts else 0.0)


def has_fast_path(scenario: Scenario) -> bool:
    """Return whether a request's whole course is known when it arrives, see `kernel.fast_path`."""
    classes = list(scenario.traffic.classes.values())
    service, *others = scenario.services.values()
    rule = service.balancer
    has_budget = any(kind.retries.budget is not None for kind in classes)
    may_cancel = len(classes) > 1 and any(kind.cancel_on_disconnect for kind in classes)
    return (
        not others
        and scenario.traffic.arrivals != "closed"
        and rule.policy in ("round_robin", "least_connections")
        and not rule.weights
        and rule.queue == "instance"
        and rule.queue_limit is None
        and rule.queue_timeout is None
        and rule.health_check is None
        and not rule.sticky
        and rule.slow_start == 0
        and not rule.balances_connections
        and rule.propagation_delay == 0
        and service.crashes is None
        and service.versions.new.cold.requests is None
        and all(kind.holds_slot for kind in classes)
        and not any(kind.retries.draws_demand for kind in classes)
        and not has_budget
        and not may_cancel
    )
