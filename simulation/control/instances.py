"""A service's instances as the control plane knows them: states, versions, membership of the pool.

Every change of an instance goes through `Instances`, which applies the change to the request plane,
the fleet and the log of the pool, so that the three always agree.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence

import simpy

from simulation.control.fleet import Fleet
from simulation.requests.plane import RequestPlane
from simulation.results.pool_log import PoolChange
from simulation.results.states import State


class AdmissionQueue:
    """A FIFO queue in front of a limit, such as the minimum number of instances in the pool.

    A process that is admitted changes the number that the limit is about only afterwards (it takes
    an instance out, say). Until it calls `confirm`, this class counts the process as admitted, so
    that two processes cannot both use the same spare place.
    """

    def __init__(self, env: simpy.Environment, spare: Callable[[], int]) -> None:
        """Make an empty queue.

        Args:
            env: The simulation.
            spare: Returns how many more the limit allows now, those admitted but not yet confirmed
                included.
        """
        self._env = env
        self._spare = spare
        self._unconfirmed = 0
        self._requests: deque[simpy.Event] = deque()

    def request(self) -> simpy.Event:
        """Return an event that fires on admission; the admitted process then calls `confirm`."""
        request = simpy.Event(self._env)
        self._requests.append(request)
        self.admit()
        return request

    def try_enter(self) -> bool:
        """Return whether the caller is admitted without waiting; it then calls `confirm`."""
        if self._requests or self._spare() <= self._unconfirmed:
            return False
        self._unconfirmed += 1
        return True

    def admit(self) -> None:
        """Admit as many waiting requests as the limit allows now."""
        while self._requests and self._spare() > self._unconfirmed:
            self._unconfirmed += 1
            self._requests.popleft().succeed()

    def confirm(self) -> None:
        """Note that `spare` now counts one of those admitted."""
        self._unconfirmed -= 1
        self.admit()

    def cancel(self, request: simpy.Event) -> None:
        """Take a request back, whether or not it was admitted."""
        if request.triggered:
            self.confirm()
        else:
            self._requests.remove(request)


class Instances:
    """All instances of a service, second ones included.

    Attributes:
        fleet: Their states over time.
        is_new: Whether each instance has the new version.
        queues: Queues that admit again whenever the pool changes.
    """

    def __init__(
        self,
        env: simpy.Environment,
        plane: RequestPlane,
        *,
        power: Sequence[float],
        work_s: float,
        second_count: int,
        log: Callable[[PoolChange], None],
    ) -> None:
        """Begin with the fleet as it is before the rollout.

        Args:
            env: The simulation.
            plane: The requests of the service.
            power: Work that each instance does at once: its slots times its speed.
            work_s: Mean work that a request asks of the service, in seconds.
            second_count: Maximum number of second instances.
            log: Called at every change of the pool, with what is in it from then on.
        """
        count = len(power)
        self._env = env
        self._plane = plane
        self.count = count
        self.fleet = Fleet(count, float(env.now), second_count)
        self.is_new = [False] * (count + second_count)
        self._power = [*power, *power]
        self._work_s = work_s
        self._in_pool = set(range(count))
        self._new_count = 0
        self._powers = Counter(power)
        self._whole_power = self._power_in_pool()
        self._moved: dict[int, simpy.Event] = {}
        self.queues: list[AdmissionQueue] = []
        self._report_change = log
        self._log()

    def state(self, instance: int) -> State:
        """Return the state of an instance."""
        return self.fleet.state[instance]

    def numbers(self, *states: State) -> list[int]:
        """Return the instances that are in one of these states."""
        return [k for k, state in enumerate(self.fleet.state) if state in states]

    @property
    def in_pool_count(self) -> int:
        """Number of instances that are up and in the pool."""
        return len(self._in_pool)

    def is_in_pool(self, instance: int) -> bool:
        """Return whether an instance is up and in the pool."""
        return instance in self._in_pool

    def move(self, instance: int, to: State) -> None:
        """Put an instance into another state."""
        self.fleet.move(instance, to, float(self._env.now))
        if instance in self._moved:
            self._moved.pop(instance).succeed()

    def when_moved(self, instance: int) -> simpy.Event:
        """Return an event that fires when the state of an instance changes next."""
        return self._moved.setdefault(instance, simpy.Event(self._env))

    def join(self, instance: int) -> None:
        """Put an instance into the pool, where it serves."""
        self.move(instance, State.SERVING)
        self._plane.set_pool(instance, True)
        self._add_to_pool(instance)

    def leave(self, instance: int) -> None:
        """Take an instance out of the pool, so that it drains."""
        self.move(instance, State.DRAINING)
        self._plane.set_pool(instance, False)
        self._remove_from_pool(instance)

    def crash(self, instance: int) -> None:
        """Let an instance die; the request plane decides when the balancer notices."""
        self.move(instance, State.CRASHED)
        self._plane.crash(instance)
        self._remove_from_pool(instance)

    def repair(self, instance: int) -> None:
        """Start a crashed instance again, with the version that it had."""
        self._plane.start(instance, self.is_new[instance])
        self.move(instance, State.SERVING)
        self._add_to_pool(instance)

    def _add_to_pool(self, instance: int) -> None:
        if instance not in self._in_pool:
            self._in_pool.add(instance)
            self._new_count += self.is_new[instance]
            self._powers[self._power[instance]] += 1
        self._log()

    def _remove_from_pool(self, instance: int) -> None:
        if instance in self._in_pool:
            self._in_pool.discard(instance)
            self._new_count -= self.is_new[instance]
            self._powers[self._power[instance]] -= 1
        self._log()

    def _power_in_pool(self) -> float:
        return sum(power * count for power, count in self._powers.items())

    def _log(self) -> None:
        power = self._power_in_pool()
        self._report_change(
            PoolChange(
                time_s=float(self._env.now),
                old_count=len(self._in_pool) - self._new_count,
                new_count=self._new_count,
                capacity_rps=power / self._work_s,
                capacity_fraction=power / self._whole_power,
                is_mixed=0 < self._new_count < len(self._in_pool),
            )
        )
        for queue in self.queues:
            queue.admit()
