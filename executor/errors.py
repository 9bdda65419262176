"""One error family: everything Rollcast refuses, said in one line for people.

Enters: a message. Leaves: an error that keeps to one line and knows its exit code. The message is
the value and the rule, as in ``window (9) must not exceed the fleet (6)``.
"""

from __future__ import annotations

from typing import ClassVar


class RollcastError(Exception):
    """Something that a person can put right.

    The message is one line whatever values it quotes: what would break it becomes a space.

    Attributes:
        exit_code: What the command line ends with.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))


class BadInput(RollcastError):
    """Wrong use, or input that breaks a rule of its form."""

    exit_code = 2


class Refused(RollcastError):
    """Well-formed, but a check says no."""

    exit_code = 3
