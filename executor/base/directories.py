"""Folders of the current user: one for state that must be kept, one for caches that can be made again.

`platformdirs` knows where each system keeps them; on Linux it follows ``XDG_STATE_HOME`` and
``XDG_CACHE_HOME``.
"""

from __future__ import annotations

import logging
import os
import tempfile
from functools import cache
from pathlib import Path

from platformdirs import user_cache_path, user_state_path

from executor.base.errors import BadInput

_APPLICATION = "rollcast"

_logger = logging.getLogger(__name__)


def state_directory() -> Path:
    """Return the folder for locks, kept rollouts and unsaved edits; it may not exist yet.

    On Linux this is ``~/.local/state/rollcast``.

    Raises:
        BadInput: The user has no home.
    """
    try:
        return user_state_path(_APPLICATION, appauthor=False)
    except RuntimeError as error:
        raise BadInput(f"no folder for state: {error}; set XDG_STATE_HOME") from None


def cache_directory(name: str) -> Path:
    """Return a folder for caches that exists and can be written to.

    Where the user's cache folder cannot be written to, as under a home that is mounted read-only,
    the folder lies in the system's folder for temporary files, and a warning says so once.

    Args:
        name: The kind of cache; each kind has a folder of its own.

    Raises:
        BadInput: No folder can be written to.
    """
    # All users share the folder for temporary files where users have numbers; elsewhere each user
    # has one.
    user = f"-{os.getuid()}" if hasattr(os, "getuid") else ""
    temporary = Path(tempfile.gettempdir()) / f"{_APPLICATION}{user}"
    problem = ""
    try:
        home = user_cache_path(_APPLICATION, appauthor=False)
    except RuntimeError as error:
        problem = str(error)
    else:
        problem = _make_writable(home / name)
        if not problem:
            return home / name
        problem = f"{home}: cannot be written: {problem}"
    if not _make_writable(temporary / name):
        _warn_once(
            f"{problem}; compiled code and stored settings of libraries are kept in {temporary}"
        )
        return temporary / name
    try:
        return Path(tempfile.mkdtemp(prefix=f"{_APPLICATION}-"))
    except OSError:
        raise BadInput(f"no folder for caches can be written to: {problem}") from None


def _make_writable(directory: Path) -> str:
    """Make a folder for its owner only; return why it cannot be written to, empty where it can."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        return error.strerror or str(error)
    return "" if os.access(directory, os.W_OK) else "may not be written to"


@cache
def _warn_once(message: str) -> None:
    _logger.warning("%s", message)
