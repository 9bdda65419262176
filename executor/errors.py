"""One error family: everything Rollcast refuses, said in one line for people.

The message is the value and the rule, as in ``window (9) must not exceed the fleet (6)``.
"""

from __future__ import annotations

from typing import ClassVar


class RollcastError(Exception):
    """Something that a person can put right; the message is one line."""

    exit_code: ClassVar[int] = 1


class BadInput(RollcastError):
    """Wrong use, or input that breaks a rule of its form."""

    exit_code = 2


class Refused(RollcastError):
    """Well-formed, but a check says no."""

    exit_code = 3
