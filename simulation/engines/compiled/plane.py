"""The `RequestPlane` of one service in the compiled engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import simpy

from simulation.engines.compiled.kernel import memory as km
from simulation.engines.compiled.memory import Memory
from simulation.requests.belief import Announcements, slow_start
from simulation.requests.plane import EndedCalls, SimulatedClock, past_event
from simulation.results.run_result import OK
from simulation.scenario.model import Service


class PlaneEngine(Protocol):
    """The compiled engine, as its planes use it."""

    def act(self, action: int, instance: int, flag: bool = False, share: float = 0.0) -> int:
        """Apply an action of `kernel.memory` to an instance, now."""

    def catch_up(self) -> None:
        """Simulate the requests up to the control plane's time."""

    def update_may_signal(self) -> None:
        """Update `may_signal` after a change of what control waits for."""


class CompiledPlane:
    """The requests of one service, see `RequestPlane`; instances are numbered within the service."""

    def __init__(
        self,
        env: SimulatedClock,
        engine: PlaneEngine,
        memory: Memory,
        service: Service,
        number: int,
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

        # Views of single fields: far faster than numpy's access to a record.
        def view(name: str) -> Any:
            return self._instances[name].data

        self._at_work, self._queued, self._open = view("at_work"), view("queued"), view("open")
        self._watch_idle, self._new_version = view("watch_idle"), view("new_version")
        self._started, self._begun = view("started"), view("begun")
        self._watch_count = memory.field("watch_count")
        self._announcements = Announcements(
            env,
            len(self._instances),
            propagation_delay_s=service.balancer.propagation_delay,
            return_delay_s=service.balancer.return_delay,
            on_pool=self._apply_announcement,
            on_removed=self._mark_removed,
        )
        self._sorted_count = 0
        self._idle: dict[int, simpy.Event] = {}
        self._healthy: dict[int, simpy.Event] = {}

    def _act(self, action: int, instance: int, flag: bool = False, share: float = 0.0) -> int:
        return self._engine.act(action, self._first + instance, flag, share)

    def _apply_announcement(self, instance: int, in_pool: bool) -> None:
        self._act(km.SET_POOL, instance, in_pool)

    def _mark_removed(self, instance: int) -> None:
        self._engine.catch_up()
        self._instances[instance]["removed"] = 1

    def on_signal(self, signal: int, which: int) -> None:
        """Handle a signal of the kernel about an instance, numbered over all services."""
        instance = which - self._first
        if signal == km.IDLE:
            self._idle.pop(instance).succeed()
        elif signal == km.HEALTHY:
            self._healthy.pop(instance).succeed()
        else:
            ramp = int(self._instances[instance]["ramp"])

            def set_share(share: float) -> bool:
                is_same_ramp = int(self._instances[instance]["ramp"]) == ramp
                if is_same_ramp:
                    self._act(km.SET_SHARE, instance, share=share)
                return is_same_ramp

            self._env.process(slow_start(self._env, self._service.balancer.slow_start, set_share))

    def set_pool(
        self, instance: int, in_pool: bool, on_learnt: Callable[[], None] | None = None
    ) -> None:
        """Announce to the balancer whether it may send to the instance."""
        self._set_closes(
            instance, not in_pool and self._service.balancer.close_connections == "take_out"
        )
        self._announcements.announce(instance, in_pool, on_learnt)

    def remove(self, instance: int) -> None:
        """Announce to the balancer that the drained instance is gone, which ends its sessions there."""
        self._announcements.remove(instance)

    def stop(self, instance: int) -> None:
        """Make the instance refuse new requests; requests that it has are still served."""
        self._act(km.SET_LISTENING, instance, False)
        if self._service.balancer.close_connections != "never":
            self._set_closes(instance, True)

    def start(self, instance: int, new_version: bool) -> None:
        """Make the instance listen with the old or the new version; it is cold from now on."""
        self._engine.catch_up()
        self._new_version[instance] = new_version
        self._started[instance] = self._env.now
        self._begun[instance] = 0
        self._set_closes(instance, False)
        self._act(km.SET_LISTENING, instance, True)

    def cut(self, instance: int) -> int:
        """End all calls at the instance as `cut`; return how many of them a client still waited for."""
        return self._act(km.CUT_ALL, instance)

    def crash(self, instance: int) -> None:
        """Make the instance stop listening, and end all calls there as `error`."""
        self._act(km.CRASH, instance)

    def close_connections(self, instance: int) -> None:
        """Close all connections that requests share: the instance has ended, with no request left."""
        if self._service.balancer.balances_connections:
            self._act(km.CLOSE_SHARED, instance)

    def _set_closes(self, instance: int, closes: bool) -> None:
        """Set whether each connection of the instance is closed once its requests have finished."""
        if self._service.balancer.balances_connections:
            self._act(km.SET_CLOSES, instance, closes)

    def break_old_version(self) -> None:
        """Make every further answer of the old version wrong, as after its schema was contracted."""
        self._engine.catch_up()
        self._record["old_is_wrong"] = 1

    def count(self, instance: int) -> int:
        """Return the calls in service or queued at the instance, plus the connections open there."""
        self._engine.catch_up()
        count: int = self._at_work[instance] + self._queued[instance] + self._open[instance]
        return count

    def when_idle(self, instance: int) -> simpy.Event:
        """Return an event that fires when `count` is first 0."""
        if self.count(instance) == 0:
            return past_event(self._env)
        if not self._watch_idle[instance]:
            self._watch_idle[instance] = 1
            self._watch_count[0] += 1
            self._engine.update_may_signal()
        return self._idle.setdefault(instance, simpy.Event(self._env))

    def when_healthy(self, instance: int) -> simpy.Event:
        """Return an event that fires when the instance has passed `rise` checks in a row from now on."""
        if self._service.balancer.health_check is None:
            return past_event(self._env)
        self._engine.catch_up()
        self._instances[instance]["passed"] = 0
        if not self._instances[instance]["watch_healthy"]:
            self._instances[instance]["watch_healthy"] = 1
            self._memory.header["watch_count"] += 1
            self._engine.update_may_signal()
        return self._healthy.setdefault(instance, simpy.Event(self._env))

    def ended_between(
        self, since_s: float, until_s: float, new_version: bool | None = None
    ) -> EndedCalls:
        """Return the calls that ended after ``since_s`` and no later than ``until_s``."""
        self._engine.catch_up()
        log = self._memory[f"log {self._number}"][: int(self._record["log_count"])]
        # The fast path logs a call before it ends, so the new entries are out of order. All of
        # them are later than the entries that were sorted before.
        new_entries = log[self._sorted_count :]
        new_entries.sort(order="finish")
        self._sorted_count = len(log)
        first, last = np.searchsorted(log["finish"], [since_s, until_s], side="right")
        ended = log[first:last]
        if new_version is not None:
            ended = ended[(ended["new_version"] == new_version) & (ended["served"] == 1)]
        good = ended[ended["outcome"] == OK]
        latency_s = good["latency"][good["takes_slot"] == 1]
        return EndedCalls(len(ended), len(ended) - len(good), latency_s)
