"""The errors of Rollcast, each with a message of one line and an exit code.

The message names the value and the rule, as in ``window (9) must not exceed the fleet (6)``.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar


class RollcastError(Exception):
    """An error that the user can fix.

    Line breaks in quoted values become spaces, so that the message is one line.

    Attributes:
        exit_code: The exit code of the command line.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))


class BadInput(RollcastError):
    """A wrong option, or input that breaks a rule of its format."""

    exit_code = 2


class Refused(RollcastError):
    """Well-formed input that fails a check, such as a plan that was changed."""

    exit_code = 3


def describe_unexpected(error: Exception) -> str:
    """Return an unexpected error and its place in the code as one line, to report a defect."""
    words = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return words[:300]
    code = trace.tb_frame.f_code
    return f"{words[:300]} (unexpected, {Path(code.co_filename).name}:{trace.tb_lineno})"
