"""A fleet in memory, and a clock that jumps: a rollout of minutes takes milliseconds.

`Killed` simulates the death of the executor: whatever the executor does afterwards has no effect.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from executor.ends import Outcome
from executor.fleet.balancers.base import Admin, Server
from executor.fleet.balancers.fake import FakeBalancer
from executor.fleet.fleet_client import FleetClient
from executor.fleet.hosts.base import CommandResult
from executor.fleet.hosts.fake import FakeHost
from executor.fleet.inventory import Inventory, VersionNames
from executor.plan.model import Plan, Step
from executor.progress import Event
from executor.records.journal import Journal
from executor.run import RolloutRun
from tests.helpers.plans import example_plan

VERSIONS = VersionNames(old="1.0", new="1.1")


class Killed(BaseException):
    """The executor was killed; no handler of an error may see it as one."""


class _Jumping(selectors.SelectSelector):
    """A selector that does not wait: the time until the next timer passes at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise AssertionError("every task waits for an event that cannot happen")
            self.now_s += max(timeout, 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._jumping.now_s


def run_virtually(task: Awaitable[Any]) -> Any:
    """Run a coroutine to its end on a clock that jumps. Return its result."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(task)
    finally:
        pending = asyncio.all_tasks(loop)
        for other in pending:
            other.cancel()
        if pending:
            loop.run_until_complete(asyncio.wait(pending))
        loop.close()


def example_inventory(names: list[str]) -> Inventory:
    """Return an inventory whose commands `FakeHost` understands."""
    return Inventory.model_validate(
        {
            "rollcast": "inventory/1",
            "service": "checkout",
            "versions": VERSIONS.model_dump(),
            "balancer": {"haproxy": {"socket": "/nowhere", "backend": "shop"}},
            "defaults": {
                "stop": ["stop", "{instance}"],
                "deploy": ["deploy", "{instance}", "{version}"],
                "verify": ["verify", "{instance}", "{version}"],
                "start": ["start", "{instance}"],
                "health": "http://{instance}/healthz",
                "version": "http://{instance}/version",
            },
            "instances": {name: {} for name in names},
        }
    )


class _Mortal(FakeHost):
    """A host on which a dead executor runs no more commands."""

    world: World

    def answer(self, command: Sequence[str]) -> CommandResult:
        if self.world.dead:
            raise Killed
        return super().answer(command)


@dataclass
class World:
    """A fleet in memory and what happens to it.

    Attributes:
        lowest: The lowest number of instances in the pool after any call of the executor.
        unverified: The instances that were returned with a version that was not in `wanted`.
        wanted: The versions with which instances may return.
    """

    names: list[str]
    balancer: FakeBalancer = field(init=False)
    host: _Mortal = field(init=False)
    dead: bool = False
    lowest: int = 10**9
    unverified: list[str] = field(default_factory=list)
    wanted: set[str] = field(default_factory=lambda: {"1.1"})

    def __post_init__(self) -> None:
        up = Server(Admin.READY, is_up=True, is_checked=True)
        self.balancer = FakeBalancer(dict.fromkeys(self.names, up))
        self.host = _Mortal(dict.fromkeys(self.names, "1.0"), dict.fromkeys(self.names, "1.0"))
        self.host.world = self

    def in_pool(self) -> int:
        """Return the number of instances that serve."""
        return sum(
            server.is_in_pool and name in self.host.running
            for name, server in self.balancer.servers.items()
        )

    def hands(self) -> FleetClient:
        """Return a client of this fleet that stops working when the executor is dead."""

        async def run_blocking(call: Callable[..., Any], *arguments: Any) -> Any:
            await asyncio.sleep(0)
            if self.dead:
                raise Killed
            before = len(self.balancer.commands)
            answer = call(*arguments)
            for command in self.balancer.commands[before:]:
                self._check_version(command)
            self.lowest = min(self.lowest, self.in_pool())
            return answer

        return FleetClient(
            balancer=self.balancer,
            hosts={"local": self.host},
            targets=example_inventory(self.names).targets(),
            poll_s=0.5,
            ask=self.host.ask,
            run_blocking=run_blocking,
        )

    def _check_version(self, command: str) -> None:
        verb, name = command.split()
        if verb == "put_back" and self.host.running.get(name) not in self.wanted:
            self.unverified.append(name)


class DyingJournal(Journal):
    """A journal that kills its executor before or after the n-th write."""

    world: World
    dies_at: int = 0
    dies_before: bool = False
    writes: int = 0

    def write(self, event: Event, at: str) -> None:
        if self.world.dead:
            raise Killed
        self.writes += 1
        dies = self.writes == self.dies_at
        if not (dies and self.dies_before):
            super().write(event, at)
        if dies:
            self.world.dead = True
            raise Killed


def small_plan(**changes: Any) -> Plan:
    """Return a plan of four instances in a window of two, with short deadlines."""
    return example_plan(
        **{
            "instances": [f"checkout-{number}" for number in range(1, 5)],
            "min_in_pool": 2,
            "step_deadlines_s": dict.fromkeys(Step, 20.0),
            "drain": {"timeout_s": 5.0, "on_timeout": "cut"},
            **changes,
        }
    )


def carried_out(
    world: World,
    plan: Plan,
    path: Path,
    *,
    dies_at: int = 0,
    dies_before: bool = False,
    prepare: Callable[[RolloutRun], None] = lambda _: None,
    approval: Any = None,
) -> tuple[Outcome | None, int]:
    """Begin or resume a rollout.

    Returns:
        The outcome, None when the executor was killed, and the number of writes to the journal.
    """
    world.dead = False
    if not path.exists():
        Journal.begin(path, {"plan_digest": plan.digest}).close()
    journal = DyingJournal.open(path)
    assert isinstance(journal, DyingJournal)
    # A killed process loses nothing that was written; only a machine that loses power does.
    journal._database.execute("PRAGMA synchronous=OFF")
    journal.world, journal.dies_at, journal.dies_before = world, dies_at, dies_before

    async def go() -> Outcome:
        run = RolloutRun(plan, VERSIONS, world.hands(), journal, approval=approval)
        prepare(run)
        return await run.to_its_end()

    try:
        return run_virtually(go()), journal.writes
    except Killed:
        return None, journal.writes
    finally:
        journal.close()


def events_of(path: Path) -> Iterator[Event]:
    """Yield the events of a journal."""
    journal = Journal.open(path)
    try:
        yield from journal.events()
    finally:
        journal.close()
