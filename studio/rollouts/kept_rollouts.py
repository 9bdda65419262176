"""Where rollouts that the studio carries out are kept, and which of them was left unfinished.

Enters: a plan, or the name of plans. Leaves: its folder among what is kept of this user, and the rollout that
can be gone on with. Nothing here knows Qt.
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
    """A rollout that was begun on somebody's fleet, as it is kept.

    Attributes:
        plan: What was carried out, with the scenario that it is of.
        inventory: The file that says where the fleet is.
        timeline: The record so far, as `executor.records.timeline` tells it.
    """

    plan: Plan
    inventory: Path
    timeline: dict[str, Any]

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left to be done."""
        return self.timeline["ended"] in {Ended.DONE, Ended.ROLLED_BACK}


ScenarioKey = tuple[str, str]
"""A scenario's name and the digest of all that decides its rollout."""


def scenario_key(name: str, scenario: dict[str, Any]) -> ScenarioKey:
    """Return what tells a scenario, with its window and drain, from all others.

    Its question and the number of its replications decide nothing about the rollout and are left out.

    Args:
        name: What the scenario is called.
        scenario: Its plain data, without other files, as a plan embeds it.
    """
    told = {key: value for key, value in scenario.items() if key not in _DECIDES_NOTHING}
    return name, digest_of(told)


def key_of_plan(plan: Plan) -> ScenarioKey:
    """The scenario that a plan is of."""
    return scenario_key(plan.name, plan.scenario)


_DECIDES_NOTHING = frozenset({"name", "question", "replications"})


def kept_rollouts() -> Iterator[KeptRollout]:
    """Yield the rollouts that are kept and can be read, the one last written to first.

    One that cannot be read is the command line's to explain.
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
    """Return the latest rollout of plans of a name, if it was left before its end.

    Folders are not told apart by their names alone: those of ``shop-eu`` begin as those of ``shop`` do.
    An older one is not told of: the person who began another since has seen to it.
    """
    latest = next((one for one in kept_rollouts() if one.plan.name == name), None)
    return None if latest is None or latest.is_over else latest


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
