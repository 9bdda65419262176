"""Checks that come before a command: a command without its extra reads and writes nothing."""

from __future__ import annotations

import os
import sys
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
    """Say in one line that the home cannot be written to, and give matplotlib a place of its own.

    Without that, matplotlib prints two long lines of advice on every start.
    """
    directory = cache_directory("matplotlib")
    if Path(tempfile.gettempdir()) not in (directory.parent, directory.parent.parent):
        return
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    print(
        f"rollcast: {home}: cannot be written: compiled code is kept in {directory.parent}, and the "
        "studio's settings are not kept",
        file=sys.stderr,
    )
    os.environ.setdefault("MPLCONFIGDIR", str(directory))
