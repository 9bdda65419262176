"""The list of all stores of this user, so that together they keep to a limit and one command empties them.

Stores lie beside their scenarios. Each store that was written to leaves a note in the user's cache: a small
file that holds the store's path, whose date says when the store was last used.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from executor.base.directories import cache_directory
from executor.base.errors import BadInput

LIMIT_BYTES = 1_000_000_000
"""Maximum size of all stores together, in bytes."""

_PARTS = ("", "-wal")
"""Endings of the files of one SQLite database that hold data."""


@dataclass(frozen=True)
class ListedStore:
    """One store.

    Attributes:
        path: Its file.
        size_bytes: Size of its files.
        used_s: When it was last used, in seconds since 1970.
    """

    path: Path
    size_bytes: int
    used_s: float


def list_directory() -> Path:
    """Return the folder of the notes, and make it.

    Raises:
        BadInput: No folder for caches can be written to.
    """
    return cache_directory("stores")


def record_use(store: Path) -> None:
    """Note that a store is used now; without a folder for caches nothing is noted."""
    path = os.fsencode(store.absolute())
    with suppress(OSError, BadInput):
        (list_directory() / hashlib.sha256(path).hexdigest()[:16]).write_bytes(path)


def listed_stores() -> list[ListedStore]:
    """Return the stores that still exist, the one used last first; notes of others are removed."""
    return sorted(_listed(), key=lambda store: store.used_s, reverse=True)


def _listed() -> Iterator[ListedStore]:
    with suppress(OSError, BadInput):
        for note in list_directory().iterdir():
            with suppress(OSError):
                path = Path(os.fsdecode(note.read_bytes()))
                if path.is_file():
                    yield ListedStore(path, size_bytes(path), note.stat().st_mtime)
                elif path.parent.is_dir():  # else perhaps a disk that is not mounted now
                    note.unlink()


def size_bytes(store: Path) -> int:
    """Return the size of a store's files, in bytes; 0 where there are none."""
    total = 0
    for ending in _PARTS:
        with suppress(OSError):
            total += store.with_name(store.name + ending).stat().st_size
    return total
