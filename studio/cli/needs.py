"""Checks that come before a command: a command without its extra reads and writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from executor.base.extras import require_extra
from studio.cli.home import prepare_home

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")


def needs(
    extra: str, name: str = ""
) -> Callable[[Callable[Parameters, Answer]], Callable[Parameters, Answer]]:
    """Decorate a command that needs an extra: without the extra it is refused in one line.

    ``--help`` and the errors of wrong use work without the extra.

    Args:
        extra: A key of `executor.base.extras.LIBRARIES`.
        name: The words after ``rollcast`` by which people call the command (default: the function's
            name).
    """

    def decorate(command: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
        @wraps(command)
        def run_checked(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Answer:
            require_extra(extra, name or command.__name__)
            prepare_home()
            return command(*args, **kwargs)

        return run_checked

    return decorate
