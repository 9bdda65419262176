"""Which extra a command needs: it is refused before it reads or writes anything."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from executor.base.extras import require_extra

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")


def needs(
    extra: str, name: str = ""
) -> Callable[[Callable[Parameters, Answer]], Callable[Parameters, Answer]]:
    """Decorate a command: it is refused with one line where its extra is not installed.

    ``--help`` and the errors of wrong use work without the extra.

    Args:
        extra: A key of `executor.base.extras.LIBRARIES`.
        name: What people type after ``rollcast``, where that is not the function's name.
    """

    def decorate(command: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
        @wraps(command)
        def run_checked(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Answer:
            require_extra(extra, name or command.__name__)
            return command(*args, **kwargs)

        return run_checked

    return decorate
