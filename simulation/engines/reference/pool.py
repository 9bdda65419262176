"""The balancer's belief: which instances it sends to, and how much traffic each gets.

The belief follows announcements, which arrive with a delay, and health checks. It may differ from the
truth: a balancer may still send to an instance that has already stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import simpy

from simulation.engines.reference.health import Check, Health
from simulation.requests.belief import LEAST_SHARE, Announcements, slow_start
from simulation.requests.draws import Draws
from simulation.requests.plane import SimulatedClock, past_event
from simulation.scenario.balancer import BalancerModel

if TYPE_CHECKING:
    from simulation.requests.hosts import Hosts


class Pool:
    """The instances that a balancer sends to, and the sessions that stick to one of them.

    Attributes:
        believed: Whether the balancer sends to each instance.
        count: The number of instances that the balancer sends to.
    """

    def __init__(
        self,
        env: SimulatedClock,
        rule: BalancerModel,
        hosts: Hosts,
        draws: Draws,
        *,
        send_check: Callable[[Check], None],
        on_change: Callable[[int, float], None],
    ) -> None:
        count = len(hosts.slots)
        self._env = env
        self._rule = rule
        self._weights = hosts.weights
        self._on_change = on_change
        self._announced = [k < hosts.first_count for k in range(count)]
        self._announcements = Announcements(
            env,
            count,
            propagation_delay_s=rule.propagation_delay,
            return_delay_s=rule.return_delay,
            on_pool=self._apply_announcement,
            on_removed=self._mark_removed,
        )
        notices_down = rule.health_check is not None or rule.policy == "pull"
        self._is_up = [announced or not notices_down for announced in self._announced]
        self._removed = [not announced for announced in self._announced]
        self._sessions: dict[int, int] = {}
        self._ramps = [0] * count
        self.believed = list(self._announced)
        self.count = hosts.first_count
        self._health: Health | None = None
        if rule.health_check is not None:
            phases = [draws.uniform("phase", k) for k in range(count)]
            self._health = Health(
                env,
                rule.health_check,
                phases=phases,
                is_up=self._is_up,
                send_check=send_check,
                on_change=self._update_belief,
            )

    def announce(
        self, instance: int, in_pool: bool, on_learnt: Callable[[], None] | None = None
    ) -> None:
        """Announce whether the balancer may send to the instance; see `Announcements`."""
        self._announcements.announce(instance, in_pool, on_learnt)

    def _apply_announcement(self, instance: int, in_pool: bool) -> None:
        if in_pool:
            self._removed[instance] = False
        self._announced[instance] = in_pool
        self._update_belief(instance)

    def set_up(self, instance: int, is_up: bool) -> None:
        """Record whether the instance is up, without a delay: an instance that pulls knows itself."""
        self._is_up[instance] = is_up
        self._update_belief(instance)

    def _update_belief(self, instance: int) -> None:
        believed = self._announced[instance] and self._is_up[instance]
        if believed == self.believed[instance]:
            return
        self.believed[instance] = believed
        self.count += 1 if believed else -1
        self._ramps[instance] += 1
        if believed and self._rule.slow_start > 0:
            ramp = self._ramps[instance]

            def set_share(share: float) -> bool:
                is_same_ramp = self._ramps[instance] == ramp
                if is_same_ramp:
                    self._on_change(instance, share)
                return is_same_ramp

            self._env.process(slow_start(self._env, self._rule.slow_start, set_share))
            self._on_change(instance, LEAST_SHARE)
        else:
            self._on_change(instance, 1.0)

    def weight(self, instance: int) -> float:
        """Return the instance's weight after its slow start."""
        return self._weights[instance]

    # Sessions

    def sticky_instance(self, session: int) -> int:
        """Return the instance that the session sticks to, −1 for none."""
        instance = self._sessions.get(session, -1)
        if instance >= 0 and (self._removed[instance] or not self._is_up[instance]):
            return -1
        return instance

    def bind(self, session: int, instance: int) -> None:
        """Make the session stick to the instance."""
        self._sessions[session] = instance

    def remove(self, instance: int) -> None:
        """Announce that the drained instance is gone, with the usual delay."""
        self._announcements.remove(instance)

    def _mark_removed(self, instance: int) -> None:
        self._removed[instance] = True

    # Health

    def record_check(self, check: Check, passed: bool) -> None:
        """Record the result of a health check."""
        assert self._health is not None
        self._health.record_check(check, passed)

    def when_healthy(self, instance: int) -> simpy.Event:
        """Return an event that fires when the instance has passed `rise` checks in a row from now on.

        Without health checks it has already fired.
        """
        if self._health is None:
            return past_event(self._env)
        return self._health.when_healthy(instance)
