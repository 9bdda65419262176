"""Checks that come before a command: a command without its extra reads and writes nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from executor.base.directories import cache_directory
from executor.base.extras import require_extra

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


def prepare_home() -> None:
    """Give matplotlib a folder of its own where the home cannot be written to.

    Without that, matplotlib prints two long lines of advice on every start. `cache_directory` says
    once that the home cannot be written to.
    """
    directory = cache_directory("matplotlib")
    if Path(tempfile.gettempdir()) not in (directory.parent, directory.parent.parent):
        return
    os.environ.setdefault("MPLCONFIGDIR", str(directory))
