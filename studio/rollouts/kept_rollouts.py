"""The rollouts that the studio has kept for this user, and the one that was left unfinished.

Nothing here knows Qt.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executor.base.canonical_json import digest_of
from executor.base.errors import BadInput, RollcastError
from executor.plan.file import read_plan
from executor.plan.model import Plan
from executor.progress import Ended
from executor.records.journal import Journal
from executor.records.lock import lock_path
from executor.records.timeline import timeline


@dataclass(frozen=True)
class KeptRollout:
    """A rollout that was begun on a real fleet.

    Attributes:
        plan: The plan, with its scenario.
        inventory: The file that describes the fleet.
        timeline: The record so far, as `executor.records.timeline` makes it.
    """

    plan: Plan
    inventory: Path
    timeline: dict[str, Any]

    @property
    def is_over(self) -> bool:
        """Return whether nothing is left to do."""
        return self.timeline["ended"] in {Ended.DONE, Ended.ROLLED_BACK}


ScenarioKey = tuple[str, str]
"""A scenario's name, and the digest of everything in it that decides its rollout."""


def scenario_key(name: str, scenario: dict[str, Any]) -> ScenarioKey:
    """Return the key that tells a scenario, with its window and drain, from all others.

    The question and the number of replications decide nothing about the rollout and are left out.

    Args:
        name: The scenario's name.
        scenario: Its plain data, without references to other files, as a plan embeds it.
    """
    deciding = {key: value for key, value in scenario.items() if key not in _DECIDES_NOTHING}
    return name, digest_of(deciding)


def key_of_plan(plan: Plan) -> ScenarioKey:
    """Return the key of the scenario that a plan was made for."""
    return scenario_key(plan.name, plan.scenario)


_DECIDES_NOTHING = frozenset({"name", "question", "replications"})
"""The keys of a scenario that decide nothing about its rollout."""


def kept_rollouts() -> Iterator[KeptRollout]:
    """Yield the kept rollouts, the one that was written to last first.

    Rollouts that cannot be read are left out; the command line says why when they are resumed.
    """
    for path in sorted(_rollouts().glob("*/plan.journal"), key=_written_s, reverse=True):
        try:
            plan = read_plan(path.with_suffix(".json"))
            with closing(Journal.open(path, only_to_read=True)) as journal:
                record = timeline(plan, journal)
                inventory = Path(journal.about()["inventory"])
        except (RollcastError, sqlite3.Error, OSError, KeyError):  # KeyError: without an inventory
            continue
        yield KeptRollout(plan, inventory, record)


def find_left_rollout(name: str) -> KeptRollout | None:
    """Return the latest rollout of the plans with this name when it is unfinished, None otherwise.

    The plan is read, because a folder's name is not enough: the folders of ``shop-eu`` begin like
    those of ``shop``. Older unfinished rollouts are ignored: the person who began a later one has
    dealt with them.
    """
    latest = next((rollout for rollout in kept_rollouts() if rollout.plan.name == name), None)
    return None if latest is None or latest.is_over else latest


def _written_s(journal: Path) -> float:
    """Return when a journal was written to last: SQLite writes into a file beside it first."""
    return max(path.stat().st_mtime for path in journal.parent.glob(f"{journal.name}*"))


def _rollouts() -> Path:
    return lock_path("").parent / "rollouts"


def _slug(name: str) -> str:
    return (re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "rollout")[:60]


def folder_of(plan: Plan) -> Path:
    """Make the folder for a plan and its journal, for its owner only; return its path.

    Raises:
        BadInput: The folder cannot be made.
    """
    folder = _rollouts() / f"{_slug(plan.name)}-{plan.digest[:8]}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise BadInput(f"{folder}: cannot be made: {error.strerror or error}") from None
    return folder
