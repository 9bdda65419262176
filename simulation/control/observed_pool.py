"""The pool as figures observe it: the instances that are up and that the balancer sends to.

The rollout counts an instance as soon as it has returned (`Instances.in_pool_count`). A balancer with
a `return_delay` does not send to that instance yet, so figures of capacity leave it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from simulation.results.pool_log import PoolChange


class ObservedPool:
    """The instances of one service that are up and sent to, and the log of their changes."""

    def __init__(
        self,
        *,
        power: Sequence[float],
        is_new: Sequence[bool],
        work_s: float,
        now_s: Callable[[], float],
        log: Callable[[PoolChange], None],
    ) -> None:
        """Begin with the whole fleet.

        Args:
            power: Work that each instance of the fleet does at once: its slots times its speed.
            is_new: Whether each instance has the new version; it changes only while that instance is
                down.
            work_s: Mean work that a request asks of the service, in seconds.
            now_s: Returns the present time, in seconds.
            log: Called at every change, with the pool from then on.
        """
        fleet = range(len(power))
        self._power = [*power, *power]
        self._is_new = is_new
        self._work_s = work_s
        self._now_s = now_s
        self._report_change = log
        self._up = set(fleet)
        self._sent_to = set(fleet)
        self._members = set(fleet)
        self._new_count = 0
        self._powers = Counter(power)
        self._whole_power = self._power_in_pool()
        self._log()

    def set_up(self, instance: int, is_up: bool) -> None:
        """Note whether an instance listens."""
        (self._up.add if is_up else self._up.discard)(instance)
        if self._update(instance):
            self._log()

    def set_sent_to(self, instance: int, is_sent_to: bool) -> None:
        """Note whether the balancer sends to an instance, as far as announcements say."""
        (self._sent_to.add if is_sent_to else self._sent_to.discard)(instance)
        self._update(instance)
        self._log()

    def _update(self, instance: int) -> bool:
        """Put the instance in or out; return whether that changed anything."""
        is_member = instance in self._up and instance in self._sent_to
        if is_member == (instance in self._members):
            return False
        change = 1 if is_member else -1
        (self._members.add if is_member else self._members.discard)(instance)
        self._new_count += change * self._is_new[instance]
        self._powers[self._power[instance]] += change
        return True

    def _power_in_pool(self) -> float:
        return sum(power * count for power, count in self._powers.items())

    def _log(self) -> None:
        power = self._power_in_pool()
        count = len(self._members)
        self._report_change(
            PoolChange(
                time_s=self._now_s(),
                old_count=count - self._new_count,
                new_count=self._new_count,
                capacity_rps=power / self._work_s,
                capacity_fraction=power / self._whole_power,
                is_mixed=0 < self._new_count < count,
            )
        )
