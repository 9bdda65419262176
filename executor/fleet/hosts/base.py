"""The interface to a machine: run a command there, with a deadline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from executor.base.errors import RollcastError

MAX_OUTPUT_BYTES = 4000
"""Maximum size of the output that is kept of a command, in bytes: its end, which has the reason."""


class HostError(RollcastError):
    """A command that could not be run or did not end in time."""

    exit_code = 4


@dataclass(frozen=True)
class CommandResult:
    """The result of a command that has ended.

    Attributes:
        exit_code: Its exit code, or the negative number of the signal that ended it.
        output: The end of its output on both streams.
    """

    exit_code: int
    output: str


class Host(Protocol):
    """A machine."""

    async def check(self) -> None:
        """Check that commands can be run, without running one.

        Raises:
            HostError: They cannot.
        """
        ...

    async def run(
        self, command: Sequence[str], deadline_s: float, environment: Mapping[str, str]
    ) -> CommandResult:
        """Run a command to its end; kill the command at its deadline and on cancellation.

        Raises:
            HostError: The command could not be started, lost its connection, or was late.
        """
        ...

    async def close(self) -> None:
        """Close the connection to the machine."""
        ...
