"""One error family: everything Rollcast refuses, said in one line for people.

Enters: a message. Leaves: an error that keeps to one line and knows its exit code. The message is
the value and the rule, as in ``window (9) must not exceed the fleet (6)``.
"""

from __future__ import annotations

from pathlib import Path
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


def describe_unexpected(error: Exception) -> str:
    """Say on one line what nobody expected, and where: enough to report a defect."""
    words = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return words[:300]
    code = trace.tb_frame.f_code
    return f"{words[:300]} (unexpected, {Path(code.co_filename).name}:{trace.tb_lineno})"
