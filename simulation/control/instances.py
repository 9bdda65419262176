"""A service's instances as the control plane knows them: states, versions, and who is in the pool.

Enters: what rollouts and crashes do to an instance. Leaves: the same done to the plane, to the fleet
and to the log of the pool, so that the three never tell different stories.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence

import simpy

from simulation.control.fleet import Fleet
from simulation.requests.plane import RequestPlane
from simulation.results.pool_log import PoolChange
from simulation.results.states import State


class Turnstile:
    """First come, first served: each passes when the count allows one more.

    Attributes:
        spare: How many more may pass by what is true now; those that have passed and not yet made
            it true are kept count of here.
    """

    def __init__(self, env: simpy.Environment, spare: Callable[[], int]) -> None:
        self._env = env
        self._spare = spare
        self._passing = 0
        self._wishes: deque[simpy.Event] = deque()

    def wish(self) -> simpy.Event:
        """An event for when it is this one's turn; who has passed says `done`."""
        wish = simpy.Event(self._env)
        self._wishes.append(wish)
        self.look()
        return wish

    def passes(self) -> bool:
        """Whether it is one's turn right away; who has passed says `done`."""
        if self._wishes or self._spare() <= self._passing:
            return False
        self._passing += 1
        return True

    def look(self) -> None:
        """Lets pass whom the count allows now."""
        while self._wishes and self._spare() > self._passing:
            self._passing += 1
            self._wishes.popleft().succeed()

    def done(self) -> None:
        """The count tells now of one that has passed."""
        self._passing -= 1
        self.look()

    def withdraw(self, wish: simpy.Event) -> None:
        """Takes a wish back, whether or not its turn had come."""
        if wish.triggered:
            self.done()
        else:
            self._wishes.remove(wish)


class Instances:
    """All instances of a service, second ones included.

    Attributes:
        fleet: Their states over time.
        is_new: Which version each has.
        watched: Gates that look again whenever the pool changes.
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
        """Begins with everything as it is before the rollout.

        Args:
            env: The simulation.
            plane: The requests of the service.
            power: How much work each instance does at once: its slots, times its speed.
            work_s: What a request asks of the service in the mean.
            second_count: How many second instances there may be.
            log: Is told how many of each version are up and in the pool, change by change.
        """
        count = len(power)
        self._env = env
        self._plane = plane
        self.count = count
        self.fleet = Fleet(count, float(env.now), second_count)
        self.is_new = [False] * (count + second_count)
        self._power = [*power, *power]
        self._mean_s = work_s
        self._in_pool = set(range(count))
        self._new_count = 0
        self._powers = Counter(power)
        self._whole_power = self._power_in_pool()
        self._moved: dict[int, simpy.Event] = {}
        self.watched: list[Turnstile] = []
        self._tell = log
        self._log()

    def state(self, instance: int) -> State:
        """What an instance is doing."""
        return self.fleet.state[instance]

    def numbers(self, *states: State) -> list[int]:
        """Those that are in one of these states."""
        return [k for k, state in enumerate(self.fleet.state) if state in states]

    @property
    def in_pool_count(self) -> int:
        """How many are up and in the pool."""
        return len(self._in_pool)

    def in_pool(self, instance: int) -> bool:
        """Whether it is up and in the pool."""
        return instance in self._in_pool

    def move(self, instance: int, to: State) -> None:
        """It does something else from now on."""
        self.fleet.move(instance, to, float(self._env.now))
        if instance in self._moved:
            self._moved.pop(instance).succeed()

    def when_moved(self, instance: int) -> simpy.Event:
        """An event for the next change of its state."""
        return self._moved.setdefault(instance, simpy.Event(self._env))

    def join(self, instance: int) -> None:
        """It serves, in the pool."""
        self.move(instance, State.SERVING)
        self._plane.set_pool(instance, True)
        self._enters(instance)

    def leave(self, instance: int) -> None:
        """It is in the pool no more, and drains."""
        self.move(instance, State.DRAINING)
        self._plane.set_pool(instance, False)
        self._leaves(instance)

    def crash(self, instance: int) -> None:
        """It died on its own; whether the balancer knows is the plane's matter."""
        self.move(instance, State.CRASHED)
        self._plane.crash(instance)
        self._leaves(instance)

    def repair(self, instance: int) -> None:
        """It is up again, with the version it had."""
        self._plane.start(instance, self.is_new[instance])
        self.move(instance, State.SERVING)
        self._enters(instance)

    def _enters(self, instance: int) -> None:
        if instance not in self._in_pool:
            self._in_pool.add(instance)
            self._new_count += self.is_new[instance]
            self._powers[self._power[instance]] += 1
        self._log()

    def _leaves(self, instance: int) -> None:
        if instance in self._in_pool:
            self._in_pool.discard(instance)
            self._new_count -= self.is_new[instance]
            self._powers[self._power[instance]] -= 1
        self._log()

    def _power_in_pool(self) -> float:
        return sum(one * count for one, count in self._powers.items())

    def _log(self) -> None:
        power = self._power_in_pool()
        self._tell(
            PoolChange(
                time_s=float(self._env.now),
                old_count=len(self._in_pool) - self._new_count,
                new_count=self._new_count,
                capacity_rps=power / self._mean_s,
                capacity_fraction=power / self._whole_power,
                is_mixed=0 < self._new_count < len(self._in_pool),
            )
        )
        for gate in self.watched:
            gate.look()
