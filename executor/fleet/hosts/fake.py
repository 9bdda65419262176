"""A machine in memory: commands change the versions that its instances run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from executor.fleet.hosts.base import CommandResult
from executor.fleet.inventory import Target
from executor.fleet.probe import ProbeResult


@dataclass
class FakeHost:
    """A machine that understands ``stop NAME``, ``deploy NAME VERSION``, ``verify NAME VERSION``, ``start NAME``.

    Attributes:
        running: The version of each running instance by name; stopped instances are missing.
        deployed: The version that a start begins, by name of the instance.
        commands: Every command in order.
        takes_s: The duration of each command.
        faults: Called with a command before it takes effect; a result of this call replaces it.
    """

    running: dict[str, str]
    deployed: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    takes_s: float = 1.0
    faults: Callable[[str], CommandResult | None] = lambda _: None

    async def check(self) -> None:
        return

    async def run(
        self, command: Sequence[str], deadline_s: float, environment: Mapping[str, str]
    ) -> CommandResult:
        self.commands.append(" ".join(command))
        await asyncio.sleep(self.takes_s)
        return self.answer(command)

    def answer(self, command: Sequence[str]) -> CommandResult:
        """Apply a command and return its result."""
        answer = self.faults(" ".join(command))
        if answer is not None:
            return answer
        match command:
            case ("stop", name):
                self.running.pop(name, None)
            case ("deploy", name, version):
                self.deployed[name] = version
            case ("verify", name, version):
                return CommandResult(0 if self.deployed.get(name) == version else 1, "")
            case ("start", name):
                self.running[name] = self.deployed[name]
        return CommandResult(0, "")

    async def close(self) -> None:
        return

    def ask(self, target: Target) -> ProbeResult:
        """Return the result of a probe of an instance."""
        version = self.running.get(target.name)
        return ProbeResult(version is not None, version, "" if version else "connection refused")
