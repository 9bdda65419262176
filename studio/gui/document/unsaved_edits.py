"""Side files: what was edited and not saved, kept so that a crash loses nothing.

Enters: a scenario's text as it stands, and where it came from. Leaves: a file beside the scenario,
or in the user's state directory where there is no scenario yet or nothing can be written beside it;
and what such a file holds. Nobody's side file is ever overwritten by another program's.
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

from executor.base.errors import BadInput
from executor.base.files import atomic_write_text

SUFFIX = ".rollcast-recovery"
_UNTITLED = "untitled"
_SAME_S = 2.0
"""A process whose beginning is told so differently is still the same: the machine's clock is set."""


class SideFile(BaseModel):
    """What a side file holds.

    Attributes:
        pid: The process that wrote it.
        began_s: When that process began, so that another one with its number is not taken for it.
        path: The scenario's file, None for one that was never saved.
        saved: The text as it was saved last.
        text: The text as it stood.
        windows: Which windows were compared.
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
        """Whether this process wrote it."""
        return (self.pid, self.began_s) == this_process()

    @property
    def is_in_use(self) -> bool:
        """Whether the process that wrote it still runs."""
        try:
            return bool(abs(psutil.Process(self.pid).create_time() - self.began_s) < _SAME_S)
        except (psutil.Error, ValueError, OverflowError):
            return False


@dataclass(frozen=True)
class UnsavedFile:
    """A side file that another process has left, and where it stands."""

    path: Path
    side_file: SideFile


def this_process() -> tuple[int, float]:
    """This process: its number, and when it began."""
    return os.getpid(), _began_s(os.getpid())


@cache
def _began_s(pid: int) -> float:
    return float(psutil.Process(pid).create_time())


def read(place: Path) -> SideFile:
    """What a side file holds.

    Raises:
        BadInput: It cannot be read, or is none.
    """
    try:
        return SideFile.model_validate_json(place.read_bytes())
    except OSError as error:
        raise BadInput(f"{place}: cannot be read: {error.strerror or error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        said = f"{where}: {first['msg']}" if where else first["msg"]
        raise BadInput(f"{place}: is no recovery file and is left alone: {said}") from None


def write(held: SideFile, before: Path | None = None) -> Path:
    """Writes a side file where nobody else's stands; returns the place.

    Args:
        held: What it shall hold.
        before: Where this process wrote the last one.

    Raises:
        BadInput: No place can be written to.
    """
    path = None if held.path is None else Path(held.path)
    places = [*([] if before is None else [before]), *_places(path)]
    wanted = [place for place in places if place == before or not place.exists()]
    for number, place in enumerate(wanted):
        try:
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            atomic_write_text(place, held.model_dump_json(indent=1), mode=0o600)
        except (BadInput, OSError) as error:
            if number == len(wanted) - 1:
                raise BadInput(f"what is not saved cannot be kept: {error}") from None
            continue
        return place
    raise AssertionError("the last place is always tried")


def find_unsaved(path: Path | None) -> tuple[list[UnsavedFile], list[str]]:
    """Side files of a scenario whose programs have ended; and what is wrong with others, in words.

    Args:
        path: The scenario's file; None for those that were never saved.
    """
    found, wrong = [], []
    for place in _standing(path):
        try:
            held = read(place)
        except BadInput as error:
            wrong.append(str(error))
            continue
        if not held.is_mine and not held.is_in_use:
            found.append(UnsavedFile(place, held))
    return found, wrong


def state_directory() -> Path:
    """Where side files stand that cannot stand beside their scenarios; it may not exist yet."""
    home = os.environ.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()
    return Path(home) / "rollcast" / "recovery"


def _places(path: Path | None) -> list[Path]:
    """Where a side file may be put, the best place first; in the last one there is none for sure."""
    elsewhere = state_directory()
    name = _UNTITLED if path is None else _name_elsewhere(path)
    unused = elsewhere / f"{name}-{secrets.token_hex(4)}{SUFFIX}"
    if path is None:
        return [unused]
    beside = [path.with_name(f".{path.name}{SUFFIX}")]
    is_free = os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))
    return [
        *(beside if is_free else []),
        elsewhere / f"{name}{SUFFIX}",
        unused,
    ]


def _standing(path: Path | None) -> list[Path]:
    """Side files of a scenario that are there, whoever wrote them, the latest first."""
    name = _UNTITLED if path is None else _name_elsewhere(path)
    places = list(state_directory().glob(f"{glob.escape(name)}*{SUFFIX}"))
    if path is not None:
        places.append(path.with_name(f".{path.name}{SUFFIX}"))
    there = [(place.stat().st_mtime, place) for place in places if place.is_file()]
    return [place for _, place in sorted(there, reverse=True)]


def _name_elsewhere(path: Path) -> str:
    """A scenario's name among those of all folders."""
    whole = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]
    return f"{path.stem}-{whole}"
