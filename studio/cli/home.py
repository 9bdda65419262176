"""What becomes of caches and settings where the user's home cannot be written to."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from executor.base.directories import cache_directory


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
