"""Where things are kept that can be made again: the user's cache directory.

Leaves: directories that exist and can be written to, wherever the program is installed.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def cache_directory(name: str) -> Path:
    """A directory of this name for this user; where nothing else can be written to, a passing one."""
    homes = [Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "rollcast"]
    # The folder for passing files is shared by all users where there are user numbers, else one's own.
    user = f"-{os.getuid()}" if hasattr(os, "getuid") else ""
    homes.append(Path(tempfile.gettempdir()) / f"rollcast{user}")
    for home in homes:
        directory = home / name
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            continue
        if os.access(directory, os.W_OK):
            return directory
    return Path(tempfile.mkdtemp(prefix="rollcast-"))
