"""Access to a fleet: its balancer, its hosts and its instances, without blocking the event loop."""

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
    """A client for everything that a rollout reads from a fleet and changes in it.

    Attributes:
        balancer: The balancer that routes the requests.
        hosts: The machines by name.
        targets: The instances by name.
        environment: Secrets, as variables for the commands' environment.
        poll_s: Seconds between two polls of the balancer.
        ask: The function that probes an instance.
        run_blocking: Runs a blocking function outside the event loop; tests run it in place.
    """

    balancer: Balancer
    hosts: Mapping[str, Host]
    targets: Mapping[str, Target]
    environment: Mapping[str, str] = field(default_factory=dict)
    poll_s: float = 0.5
    ask: Callable[[Target], ProbeResult] = probe
    run_blocking: Callable[..., Awaitable[object]] = asyncio.to_thread

    async def observe(self) -> BalancerState:
        """Return the present state of the balancer and its servers."""
        return await self._ask_balancer(self.balancer.observe)

    async def check_permission(self) -> None:
        """Check that the balancer accepts changes, without making one."""
        await self._ask_balancer(self.balancer.check_permission)

    async def other_routes(self) -> OtherRoutes:
        """Return the other ways to the same servers, as far as the balancer knows them."""
        return await self._ask_balancer(self.balancer.other_routes)

    async def probe_instance(self, name: str) -> ProbeResult:
        """Probe an instance; one that does not answer within `PROBE_LIMIT_S` is not healthy."""
        try:
            async with asyncio.timeout(PROBE_LIMIT_S):
                return await self._run_blocking(lambda: self.ask(self.targets[name]))
        except TimeoutError:
            return ProbeResult(False, problem=f"did not answer within {PROBE_LIMIT_S:g} s")
        except Exception as error:  # such as an answer nested too deeply to be read
            return ProbeResult(False, problem=f"cannot be asked: {describe_unexpected(error)}")

    async def tell(self, verb: Callable[[str], None], name: str) -> None:
        """Apply a verb of the balancer, such as `take_out`, to the server of an instance."""
        await self._ask_balancer(lambda: verb(self.targets[name].server))

    async def close(self) -> None:
        """Close the connections to the machines."""
        for host in self.hosts.values():
            await host.close()

    async def _ask_balancer(self, call: Callable[[], Answer]) -> Answer:
        """Call the balancer.

        Raises:
            BalancerError: The balancer did not do it, or its answer cannot be read.
        """
        try:
            return await self._run_blocking(call)
        except BalancerError:
            raise
        except Exception as error:
            raise Rejected(f"{self.balancer.place()}: {describe_unexpected(error)}") from None

    async def _run_blocking(self, call: Callable[[], Answer]) -> Answer:
        return await self.run_blocking(call)  # type: ignore[return-value] # the call's own result
