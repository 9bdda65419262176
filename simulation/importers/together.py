"""Files → a drafted scenario: the whole way, for the command line and the window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from simulation.importers.combine import combine, sources_text
from simulation.importers.draft import ScenarioDraft, draft
from simulation.importers.kinds import read_files


def draft_scenario(files: Sequence[Path], service: str | None, name: str) -> ScenarioDraft:
    """What files say, as a scenario that holds every rule.

    Args:
        files: Logs, metrics, manifests, calibrations.
        service: The one that is meant, where files know several.
        name: What the scenario is called.

    Raises:
        BadInput: A file is of no known kind, or they do not go together.
    """
    sources = read_files(list(files))
    found = draft(combine(sources, service), list(sources_text(sources)), name)
    found.scenario()
    return found
