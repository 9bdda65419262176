"""Files → a drafted scenario: the whole way, for the command line and the window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from simulation.importers.combine import combined, sources_text
from simulation.importers.draft import Draft, draft
from simulation.importers.kinds import read_files


def drafted(files: Sequence[Path], service: str | None, name: str) -> Draft:
    """What files say, as a scenario that holds every rule.

    Args:
        files: Logs, metrics, manifests, calibrations.
        service: The one that is meant, where files know several.
        name: What the scenario is called.

    Raises:
        BadInput: A file is of no known kind, or they do not go together.
    """
    sources = read_files(list(files))
    found = draft(combined(sources, service), list(sources_text(sources)), name)
    found.scenario()
    return found
