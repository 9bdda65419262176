"""What the executor asks of a machine: to run a command there, with a deadline.

Enters: a command as a list of arguments. Leaves: how it ended and the last of what it said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from executor.base.errors import RollcastError

MAX_OUTPUT_BYTES = 4000
"""So much of a command's output is kept: its end, where the reason stands."""


class HostError(RollcastError):
    """A command could not be run or did not end in time."""

    exit_code = 4


@dataclass(frozen=True)
class CommandResult:
    """A command that has ended.

    Attributes:
        exit_code: Its own, or the negative number of the signal that ended it.
        output: The end of what it said on both streams.
    """

    exit_code: int
    output: str


class Host(Protocol):
    """A machine."""

    async def check(self) -> None:
        """Makes sure that commands could be run, without running one.

        Raises:
            HostError: They could not.
        """
        ...

    async def run(
        self, command: Sequence[str], deadline_s: float, environment: Mapping[str, str]
    ) -> CommandResult:
        """Runs a command to its end; when it is cancelled or late, the command is ended.

        Raises:
            HostError: It could not be started, was cut off, or did not end in time.
        """
        ...

    async def close(self) -> None:
        """Lets go of the machine."""
        ...
