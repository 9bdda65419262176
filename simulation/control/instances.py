"""A service's instances as the control plane knows them: states, versions, membership of the pool.

Every change of an instance goes through `Instances`, which applies the change to the request plane,
the fleet and the observed pool, so that the three always agree.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import simpy

from simulation.control.fleet import Fleet
from simulation.control.observed_pool import ObservedPool
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
        returns_known_s: When the balancer has learnt of all returns so far.
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
        return_delay_s: float = 0.0,
    ) -> None:
        """Begin with the fleet as it is before the rollout.

        Args:
            env: The simulation.
            plane: The requests of the service.
            power: Work that each instance does at once: its slots times its speed.
            work_s: Mean work that a request asks of the service, in seconds.
            second_count: Maximum number of second instances.
            log: Called at every change of the observed pool, with what is in it from then on.
            return_delay_s: How long after a return the balancer begins to send to the instance.
        """
        count = len(power)
        self._env = env
        self._plane = plane
        self.count = count
        self.fleet = Fleet(count, float(env.now), second_count)
        self.is_new = [False] * (count + second_count)
        self._in_pool = set(range(count))
        self._moved: dict[int, simpy.Event] = {}
        self.queues: list[AdmissionQueue] = []
        self.returns_known_s = float(env.now)
        self._return_delay_s = return_delay_s
        self._observed = ObservedPool(
            power=power,
            is_new=self.is_new,
            work_s=work_s,
            now_s=lambda: float(env.now),
            log=log,
        )

    def state(self, instance: int) -> State:
        """Return the state of an instance."""
        return self.fleet.state[instance]

    def numbers(self, *states: State) -> list[int]:
        """Return the instances that are in one of these states."""
        return [k for k, state in enumerate(self.fleet.state) if state in states]

    @property
    def in_pool_count(self) -> int:
        """Number of instances that are up and that the rollout counts as in the pool."""
        return len(self._in_pool)

    def is_in_pool(self, instance: int) -> bool:
        """Return whether an instance is up and counts as in the pool for the rollout."""
        return instance in self._in_pool

    def move(self, instance: int, to: State) -> None:
        """Put an instance into another state."""
        self.fleet.move(instance, to, float(self._env.now))
        if to in (State.RETURNING, State.STOPPING):
            self._observed.set_up(instance, to is State.RETURNING)
        if instance in self._moved:
            self._moved.pop(instance).succeed()

    def when_moved(self, instance: int) -> simpy.Event:
        """Return an event that fires when the state of an instance changes next."""
        return self._moved.setdefault(instance, simpy.Event(self._env))

    def join(self, instance: int) -> None:
        """Put an instance into the pool, where it serves."""
        self.move(instance, State.SERVING)
        self.returns_known_s = float(self._env.now) + self._return_delay_s
        self._announce(instance, True)
        self._in_pool.add(instance)
        self._admit()

    def leave(self, instance: int) -> None:
        """Take an instance out of the pool, so that it drains."""
        self.move(instance, State.DRAINING)
        self._announce(instance, False)
        self._in_pool.discard(instance)
        self._admit()

    def crash(self, instance: int) -> None:
        """Let an instance die; the request plane decides when the balancer notices."""
        self.move(instance, State.CRASHED)
        self._plane.crash(instance)
        self._observed.set_up(instance, False)
        self._in_pool.discard(instance)
        self._admit()

    def repair(self, instance: int) -> None:
        """Start a crashed instance again, with the version that it had."""
        self._plane.start(instance, self.is_new[instance])
        self.move(instance, State.SERVING)
        self._observed.set_up(instance, True)
        self._in_pool.add(instance)
        self._admit()

    def _announce(self, instance: int, in_pool: bool) -> None:
        """Announce a change to the balancer.

        With a return delay, the observed pool changes when the balancer has learnt of it; otherwise
        the observed pool is the one that the rollout counts.
        """
        observe = partial(self._observed.set_sent_to, instance, in_pool)
        if self._return_delay_s > 0:
            self._plane.set_pool(instance, in_pool, observe)
        else:
            self._plane.set_pool(instance, in_pool)
            observe()

    def _admit(self) -> None:
        """Let processes that wait for a change of the pool enter where the limits allow it."""
        for queue in self.queues:
            queue.admit()
