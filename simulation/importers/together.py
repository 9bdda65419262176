"""The whole import, from files to a drafted scenario, for the command line and the studio."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from simulation.importers.combine import combine, sources_text
from simulation.importers.draft import ScenarioDraft, draft
from simulation.importers.kinds import read_files


def draft_scenario(files: Sequence[Path], service: str | None, name: str) -> ScenarioDraft:
    """Draft a scenario from files, and check that it breaks no rule.

    Args:
        files: Logs, metrics, manifests, calibrations.
        service: The service to import, where files contain several; None for all.
        name: The name of the scenario.

    Raises:
        BadInput: A file is of no known kind, or files contradict each other.
    """
    sources = read_files(list(files))
    scenario_draft = draft(combine(sources, service), list(sources_text(sources)), name)
    scenario_draft.scenario()
    return scenario_draft
