"""The scenario's file on disk, compared with the text that the studio knows.

Other programs write to the same file: editors, `git checkout`, `rollcast import`. Their changes are
never overwritten before the user has seen them. Nothing here knows Qt.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from executor.base.errors import BadInput
from simulation.scenario.units import why


class DiskState(Enum):
    """How a file on disk compares with the known text."""

    SAME = "same"
    CHANGED = "changed"
    GONE = "gone"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class FileOnDisk:
    """A file as it was just read.

    Attributes:
        state: How the file compares with the known text.
        text: The content; None when the file is gone or cannot be read.
        reason: Why the file cannot be read; empty otherwise.
    """

    state: DiskState
    text: str | None = None
    reason: str = ""


class UnseenChange(BadInput):
    """A save would overwrite a change on disk that the user has not seen."""


def read_file_on_disk(path: Path, known_text: str | None) -> FileOnDisk:
    """Read a file and compare it with the known text.

    Texts are compared, not times: `git checkout` and `touch` change the time of a file without
    changing its text, and two writes within one tick of the clock do not change the time.

    Args:
        path: The file.
        known_text: The text when the file was last read or written; None when the file is known to
            be gone.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return FileOnDisk(DiskState.SAME if known_text is None else DiskState.GONE)
    except (OSError, UnicodeDecodeError) as error:
        return FileOnDisk(DiskState.UNREADABLE, reason=why(error))
    return FileOnDisk(DiskState.SAME if text == known_text else DiskState.CHANGED, text)


def is_same_place(path: Path, other: Path) -> bool:
    """Return whether two paths lead to the same file, through links too; neither needs to exist."""
    return os.path.realpath(path) == os.path.realpath(other)


def unified_difference(before: str, after: str, before_name: str, after_name: str) -> str:
    """Return the lines in which two texts differ, as ``diff -u`` prints them; empty for equal texts."""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), before_name, after_name, lineterm=""
    )
    return "\n".join(lines)
