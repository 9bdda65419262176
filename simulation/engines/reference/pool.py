"""What a balancer believes: which instances it may send to, and how much.

Enters: what it is told (late), what health checks say. Leaves: the believed pool, the sessions that
stick to an instance, and the share of its traffic that one gets while it starts slowly.
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
    """The balancer's belief, apart from what is true.

    Attributes:
        believed: Whether it sends to each instance.
        count: To how many it does.
    """

    def __init__(
        self,
        env: SimulatedClock,
        rule: BalancerModel,
        hosts: Hosts,
        draws: Draws,
        *,
        ask: Callable[[Check], None],
        changed: Callable[[int, float], None],
    ) -> None:
        count = len(hosts.slots)
        self._env = env
        self._rule = rule
        self._weights = hosts.weights
        self._changed = changed
        self._told = [k < hosts.first_count for k in range(count)]
        self._announcements = Announcements(
            env,
            rule.propagation_delay,
            count,
            hears=self._hears,
            hears_it_is_gone=self._is_gone,
        )
        finds_out = rule.health_check is not None or rule.policy == "pull"
        self._is_up = [told or not finds_out for told in self._told]
        self._removed = [not told for told in self._told]
        self._sessions: dict[int, int] = {}
        self._ramps = [0] * count
        self.believed = list(self._told)
        self.count = hosts.first_count
        self._health: Health | None = None
        if rule.health_check is not None:
            phases = [draws.uniform("phase", k) for k in range(count)]
            self._health = Health(
                env,
                rule.health_check,
                phases=phases,
                is_up=self._is_up,
                ask=ask,
                changed=self._update,
            )

    def tell(self, instance: int, in_pool: bool) -> None:
        """It is told whether to send to the instance; that it should not, it hears late."""
        self._announcements.tell(instance, in_pool)

    def _hears(self, instance: int, in_pool: bool) -> None:
        if in_pool:
            self._removed[instance] = False
        self._told[instance] = in_pool
        self._update(instance)

    def knows(self, instance: int, is_up: bool) -> None:
        """It hears at once whether the instance is up, as one that pulls knows of itself."""
        self._is_up[instance] = is_up
        self._update(instance)

    def _update(self, instance: int) -> None:
        believed = self._told[instance] and self._is_up[instance]
        if believed == self.believed[instance]:
            return
        self.believed[instance] = believed
        self.count += 1 if believed else -1
        self._ramps[instance] += 1
        if believed and self._rule.slow_start > 0:
            ramp = self._ramps[instance]

            def gives(share: float) -> bool:
                is_in = self._ramps[instance] == ramp
                if is_in:
                    self._changed(instance, share)
                return is_in

            self._env.process(slow_start(self._env, self._rule.slow_start, gives))
            self._changed(instance, LEAST_SHARE)
        else:
            self._changed(instance, 1.0)

    def weight(self, instance: int) -> float:
        """The instance's share of the traffic, relative to others, once it has its whole."""
        return self._weights[instance]

    # Sessions

    def bound(self, session: int) -> int:
        """The instance that the session sticks to, −1 for none."""
        instance = self._sessions.get(session, -1)
        if instance >= 0 and (self._removed[instance] or not self._is_up[instance]):
            return -1
        return instance

    def bind(self, session: int, instance: int) -> None:
        """The session is with the instance from now on."""
        self._sessions[session] = instance

    def remove(self, instance: int) -> None:
        """It is told that the drained instance is gone, and hears it as late as other things."""
        self._announcements.remove(instance)

    def _is_gone(self, instance: int) -> None:
        self._removed[instance] = True

    # Health

    def answer(self, check: Check, passed: bool) -> None:
        """A check was answered."""
        assert self._health is not None
        self._health.answer(check, passed)

    def when_healthy(self, instance: int) -> simpy.Event:
        """An event for when the instance has passed its checks; at once where there are none."""
        if self._health is None:
            return past_event(self._env)
        return self._health.when_healthy(instance)
