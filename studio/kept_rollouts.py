"""Where rollouts that the studio carries out are kept, and which of them was left unfinished.

Enters: a plan, or the name of plans. Leaves: its folder among what is kept of this user, and the rollout that
can be gone on with. Nothing here knows Qt.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executor.errors import BadInput, RollcastError
from executor.journal import Journal
from executor.lock import lock_path
from executor.plan import Plan
from executor.plan_file import read_plan
from executor.progress import Ended
from executor.timeline import timeline


@dataclass(frozen=True)
class Left:
    """A rollout that was begun on somebody's fleet and is not over, and that nobody holds in hand.

    Attributes:
        inventory: The file that says where the fleet is.
        timeline: The record so far, as `executor.timeline` tells it.
    """

    plan: Plan
    inventory: Path
    timeline: dict[str, Any]


def left_behind(name: str) -> Left | None:
    """The rollout of plans of a name that was under way last, if it was left before its end.

    One that is older is not told of: whoever began another since has seen to it. One that cannot be
    read, too, is the command line's to explain.
    """
    journals = sorted(_rollouts().glob(f"{_slug(name)}-*/plan.journal"), key=_written_s)
    try:
        return _left(journals[-1], name) if journals else None
    except (RollcastError, sqlite3.Error, OSError, KeyError):  # KeyError: older than its inventory
        return None


def _left(path: Path, name: str) -> Left | None:
    plan = read_plan(path.with_suffix(".json"))
    with closing(Journal.open(path, only_to_read=True)) as journal:
        told, inventory = timeline(plan, journal), Path(journal.about()["inventory"])
    is_over = told["ended"] in {Ended.DONE, Ended.ROLLED_BACK}
    return None if is_over or plan.name != name else Left(plan, inventory, told)


def _written_s(journal: Path) -> float:
    """When something was written into a journal last; what was is not yet in it, but beside it."""
    return max(one.stat().st_mtime for one in journal.parent.glob(f"{journal.name}*"))


def _rollouts() -> Path:
    return lock_path("").parent / "rollouts"


def _slug(name: str) -> str:
    return (re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "rollout")[:60]


def folder_of(plan: Plan) -> Path:
    """Where a plan that is carried out is kept, with its journal; made for its owner only.

    Raises:
        BadInput: It cannot be made.
    """
    folder = _rollouts() / f"{_slug(plan.name)}-{plan.digest[:8]}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise BadInput(f"{folder}: cannot be made: {error.strerror or error}") from None
    return folder
