"""The control plane's way into the kernel: one service's requests."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import simpy

from simulation.engines.compiled.kernel import memory as km
from simulation.engines.compiled.memory import Memory
from simulation.requests.belief import Announcements, slow_start
from simulation.requests.plane import EndedCalls, SimulatedClock, past_event
from simulation.results.run_result import OK
from simulation.scenario.model import Service


class Acts(Protocol):
    """What does what control wants."""

    def act(self, what: int, instance: int, flag: bool = False, share: float = 0.0) -> int:
        """Does something to an instance, now."""

    def catch_up(self) -> None:
        """Lets the requests go on to where control is."""

    def watches(self) -> None:
        """Control waits for something, or does no more."""


class CompiledPlane:
    """The requests of one service, see `RequestPlane`; instances are numbered within it."""

    def __init__(
        self, env: SimulatedClock, engine: Acts, memory: Memory, service: Service, number: int
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
        self._sorted_count = 0
        self._idle: dict[int, simpy.Event] = {}
        self._healthy: dict[int, simpy.Event] = {}

    def _act(self, what: int, instance: int, flag: bool = False, share: float = 0.0) -> int:
        return self._engine.act(what, self._first + instance, flag, share)

    def _hears(self, instance: int, in_pool: bool) -> None:
        self._act(km.HEARS, instance, in_pool)

    def _is_gone(self, instance: int) -> None:
        self._engine.catch_up()
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
        self._engine.catch_up()
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
        self._engine.catch_up()
        self._record["old_is_wrong"] = 1

    def count(self, instance: int) -> int:
        """Requests in service or queued at the instance, and connections open there."""
        self._engine.catch_up()
        one = self._instances[instance]
        return int(one["at_work"]) + int(one["queued"]) + int(one["open"])

    def when_idle(self, instance: int) -> simpy.Event:
        """An event for the first moment at which `count` is 0."""
        if self.count(instance) == 0:
            return past_event(self._env)
        if not self._instances[instance]["watch_idle"]:
            self._instances[instance]["watch_idle"] = 1
            self._memory.header["watch_count"] += 1
            self._engine.watches()
        return self._idle.setdefault(instance, simpy.Event(self._env))

    def when_healthy(self, instance: int) -> simpy.Event:
        """An event for when it has passed its checks often enough, counted from now."""
        if self._service.balancer.health_check is None:
            return past_event(self._env)
        self._engine.catch_up()
        self._instances[instance]["passed"] = 0
        if not self._instances[instance]["watch_healthy"]:
            self._instances[instance]["watch_healthy"] = 1
            self._memory.header["watch_count"] += 1
            self._engine.watches()
        return self._healthy.setdefault(instance, simpy.Event(self._env))

    def seen(self, since_s: float, until_s: float, new_version: bool | None = None) -> EndedCalls:
        """What ended after ``since_s``, up to ``until_s``; of one version's answers only, or all."""
        self._engine.catch_up()
        log = self._memory[f"log {self._number}"][: int(self._record["log_count"])]
        fresh = log[self._sorted_count :]  # all of it later than what was there before
        fresh.sort(order="finish")
        self._sorted_count = len(log)
        first, last = np.searchsorted(log["finish"], [since_s, until_s], side="right")
        ended = log[first:last]
        if new_version is not None:
            ended = ended[(ended["new_version"] == new_version) & (ended["served"] == 1)]
        good = ended[ended["outcome"] == OK]
        latency_s = good["latency"][good["takes_slot"] == 1]
        return EndedCalls(len(ended), len(ended) - len(good), latency_s)
