"""A scenario's file as it stands on disk, held against what the studio knows of it.

Other programs write to the same file: editors, `git checkout`, `rollcast import`. What they wrote
is never written over before a person has seen that it is there. Nothing here knows Qt.
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
    """How a file stands to the text that is known of it."""

    SAME = "same"
    CHANGED = "changed"
    GONE = "gone"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class FileOnDisk:
    """A file as it was read just now.

    Attributes:
        state: How it stands to the known text.
        text: What it holds; None where it is gone or cannot be read.
        reason: Why it cannot be read; empty where it can, or is gone.
    """

    state: DiskState
    text: str | None = None
    reason: str = ""


class UnseenChange(BadInput):
    """A save would write over a change on disk that nobody has seen."""


def read_file_on_disk(path: Path, known_text: str | None) -> FileOnDisk:
    """Read a file and compare it with what is known of it.

    Texts are compared, not times: `git checkout` and `touch` change the time of a file that says
    the same, and two writes within one tick of the clock leave it as it was.

    Args:
        path: The file.
        known_text: What it held when it was last read or written; None where it is known to be gone.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return FileOnDisk(DiskState.SAME if known_text is None else DiskState.GONE)
    except (OSError, UnicodeDecodeError) as error:
        return FileOnDisk(DiskState.UNREADABLE, reason=why(error))
    return FileOnDisk(DiskState.SAME if text == known_text else DiskState.CHANGED, text)


def is_same_place(path: Path, other: Path) -> bool:
    """Whether two paths lead to one file, through links too; neither needs to exist."""
    return os.path.realpath(path) == os.path.realpath(other)


def unified_difference(before: str, after: str, before_name: str, after_name: str) -> str:
    """The lines in which two texts differ, as ``diff -u`` prints them; empty where they are the same."""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), before_name, after_name, lineterm=""
    )
    return "\n".join(lines)
