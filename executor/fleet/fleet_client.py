"""What a rollout asks of a fleet: its balancer, its hosts, its instances."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from executor.base.errors import describe_unexpected
from executor.fleet.balancers.base import (
    Balancer,
    BalancerError,
    BalancerState,
    OtherRoutes,
    Rejected,
)
from executor.fleet.hosts.base import Host
from executor.fleet.inventory import Target
from executor.fleet.probe import PROBE_LIMIT_S, ProbeResult, probe

Answer = TypeVar("Answer")


@dataclass
class FleetClient:
    """What acts on a fleet.

    Attributes:
        balancer: What routes the requests.
        hosts: The machines by name.
        targets: The instances by name.
        environment: Secrets, for the commands.
        poll_s: How long between two looks.
        ask: Asks an instance itself.
        run_blocking: Runs what blocks without holding up the rest; tests run it in place.
    """

    balancer: Balancer
    hosts: Mapping[str, Host]
    targets: Mapping[str, Target]
    environment: Mapping[str, str] = field(default_factory=dict)
    poll_s: float = 0.5
    ask: Callable[[Target], ProbeResult] = probe
    run_blocking: Callable[..., Awaitable[object]] = asyncio.to_thread

    async def observe(self) -> BalancerState:
        """What the balancer says now."""
        return await self._ask_balancer(self.balancer.observe)

    async def check_permission(self) -> None:
        """Makes sure that the balancer lets itself be told, without telling it anything."""
        await self._ask_balancer(self.balancer.check_permission)

    async def other_routes(self) -> OtherRoutes:
        """The other ways to the same servers, as far as the balancer knows them."""
        return await self._ask_balancer(self.balancer.other_routes)

    async def probe_instance(self, name: str) -> ProbeResult:
        """What an instance says itself; one that keeps its asker waiting is not healthy."""
        try:
            async with asyncio.timeout(PROBE_LIMIT_S):
                return await self._aside(lambda: self.ask(self.targets[name]))
        except TimeoutError:
            return ProbeResult(False, problem=f"did not answer within {PROBE_LIMIT_S:g} s")
        except Exception as error:  # such as an answer nested too deeply to be read
            return ProbeResult(False, problem=f"cannot be asked: {describe_unexpected(error)}")

    async def tell(self, verb: Callable[[str], None], name: str) -> None:
        """Tells the balancer something about an instance's server."""
        await self._ask_balancer(lambda: verb(self.targets[name].server))

    async def close(self) -> None:
        """Lets go of the machines."""
        for host in self.hosts.values():
            await host.close()

    async def _ask_balancer(self, what: Callable[[], Answer]) -> Answer:
        """Asks or tells the balancer something.

        Raises:
            BalancerError: It did not do it; an answer that cannot be read is one, too.
        """
        try:
            return await self._aside(what)
        except BalancerError:
            raise
        except Exception as error:
            raise Rejected(f"{self.balancer.place()}: {describe_unexpected(error)}") from None

    async def _aside(self, what: Callable[[], Answer]) -> Answer:
        return await self.run_blocking(what)  # type: ignore[return-value] # its own answer
