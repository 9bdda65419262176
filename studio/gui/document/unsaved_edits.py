"""Side files: edits that are not saved, kept so that a crash loses nothing.

A side file stands beside its scenario, or in the user's state directory when the scenario has no
file yet or its folder is read-only. A program never overwrites the side file of another one.
"""

from __future__ import annotations

import glob
import hashlib
import os
import secrets
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from executor.base import directories
from executor.base.errors import BadInput
from executor.base.files import atomic_write_text

SUFFIX = ".rollcast-recovery"
_UNTITLED = "untitled"
_START_TOLERANCE_S = 2.0
"""Maximum difference between two readings of a process's start time, in seconds.

The readings differ when the machine's clock is adjusted.
"""


class SideFile(BaseModel):
    """The content of a side file.

    Attributes:
        pid: The process that wrote the file.
        began_s: When that process began, so that another process with the same number is not taken
            for it.
        path: The scenario's file; None for one that was never saved.
        saved: The text as last saved.
        text: The edited text.
        windows: The windows to compare.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rollcast: Literal["recovery/1"] = "recovery/1"
    pid: int
    began_s: float
    path: str | None
    saved: str
    text: str
    windows: tuple[int, ...] = ()

    @property
    def is_mine(self) -> bool:
        """Return whether this process wrote the file."""
        return (self.pid, self.began_s) == this_process()

    @property
    def is_in_use(self) -> bool:
        """Return whether the process that wrote the file still runs."""
        try:
            return bool(
                abs(psutil.Process(self.pid).create_time() - self.began_s) < _START_TOLERANCE_S
            )
        except (psutil.Error, ValueError, OverflowError):
            return False


@dataclass(frozen=True)
class UnsavedFile:
    """A side file that another process has left."""

    path: Path
    side_file: SideFile


def this_process() -> tuple[int, float]:
    """Return this process's number, and the time when it began."""
    return os.getpid(), _began_s(os.getpid())


@cache
def _began_s(pid: int) -> float:
    return float(psutil.Process(pid).create_time())


def read(path: Path) -> SideFile:
    """Return the content of a side file.

    Raises:
        BadInput: The file cannot be read, or is not a side file.
    """
    try:
        return SideFile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        reason = f"{where}: {first['msg']}" if where else first["msg"]
        raise BadInput(f"{path}: is no recovery file and is left alone: {reason}") from None


def write(side_file: SideFile, before: Path | None = None) -> Path:
    """Write a side file without overwriting another program's; return its path.

    Args:
        side_file: The content.
        before: The path of this process's last side file.

    Raises:
        BadInput: No path can be written.
    """
    path = None if side_file.path is None else Path(side_file.path)
    places = [*([] if before is None else [before]), *_places(path)]
    free_places = [place for place in places if place == before or not place.exists()]
    for number, place in enumerate(free_places):
        try:
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            atomic_write_text(place, side_file.model_dump_json(indent=1), mode=0o600)
        except (BadInput, OSError) as error:
            if number == len(free_places) - 1:
                raise BadInput(f"unsaved edits cannot be kept: {error}") from None
            continue
        return place
    raise AssertionError("the last place is always tried")


def find_unsaved(path: Path | None) -> tuple[list[UnsavedFile], list[str]]:
    """Return the side files of a scenario whose programs have ended, and why others cannot be read.

    Args:
        path: The scenario's file; None for scenarios that were never saved.
    """
    unsaved_files, reasons = [], []
    for side_path in _existing_side_files(path):
        try:
            side_file = read(side_path)
        except BadInput as error:
            reasons.append(str(error))
            continue
        if not side_file.is_mine and not side_file.is_in_use:
            unsaved_files.append(UnsavedFile(side_path, side_file))
    return unsaved_files, reasons


def state_directory() -> Path:
    """Return the directory of side files that cannot stand beside their scenarios; it may not exist yet."""
    return directories.state_directory() / "recovery"


def _places(path: Path | None) -> list[Path]:
    """Return the paths where a side file may be written, the best first; the last one never exists yet."""
    directory = state_directory()
    name = _UNTITLED if path is None else _name_elsewhere(path)
    unused = directory / f"{name}-{secrets.token_hex(4)}{SUFFIX}"
    if path is None:
        return [unused]
    beside = [path.with_name(f".{path.name}{SUFFIX}")]
    is_writable = os.access(path.parent, os.W_OK) and (
        not path.exists() or os.access(path, os.W_OK)
    )
    return [
        *(beside if is_writable else []),
        directory / f"{name}{SUFFIX}",
        unused,
    ]


def _existing_side_files(path: Path | None) -> list[Path]:
    """Return the existing side files of a scenario, whoever wrote them, the latest first."""
    name = _UNTITLED if path is None else _name_elsewhere(path)
    places = list(state_directory().glob(f"{glob.escape(name)}*{SUFFIX}"))
    if path is not None:
        places.append(path.with_name(f".{path.name}{SUFFIX}"))
    timed_paths = [(place.stat().st_mtime, place) for place in places if place.is_file()]
    return [place for _, place in sorted(timed_paths, reverse=True)]


def _name_elsewhere(path: Path) -> str:
    """Return a file name for a scenario that is unique among all folders."""
    digest = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]
    return f"{path.stem}-{digest}"
