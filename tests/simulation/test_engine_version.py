"""Stored results are thrown away when what decides them changes, and only then."""

from __future__ import annotations

import grimp

from simulation.engine_version import engine_version, source_files
from tests.helpers.paths import ROOT

DECIDES_NO_RESULT = {
    "executor.base.directories",  # where the machine code is kept
    "executor.base.errors",
    "executor.base.text_limits",  # which files are refused
}


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def test_the_version_covers_all_that_a_run_imports() -> None:
    imports = grimp.build_graph("executor", "simulation", cache_dir=None)
    needed = imports.find_upstream_modules("simulation.run") | {"simulation.run"}
    covered = {module_name(path.relative_to(ROOT).as_posix()) for path in source_files(ROOT)}
    assert needed - covered == DECIDES_NO_RESULT


def test_what_no_run_imports_does_not_change_the_version() -> None:
    covered = {path.relative_to(ROOT).parts[:2] for path in source_files(ROOT)}
    for name in ("importers", "planning", "study", "estimates"):
        assert ("simulation", name) not in covered


def test_the_version_names_the_release() -> None:
    assert engine_version().startswith("0.1.0+")
