"""The cache of the compiled engine's code, and the first compilation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.engines.compiled.code_cache import code_directory
from tests.helpers.command_line import SHOP
from tests.helpers.paths import ROOT


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )


def directory(**environment: str) -> Path:
    said = (
        "from simulation.engines.compiled.code_cache import code_directory; print(code_directory())"
    )
    return Path(run("-c", said, **environment).stdout.strip())


def test_code_is_kept_in_the_users_cache_and_never_beside_the_sources(tmp_path: Path) -> None:
    found = directory(XDG_CACHE_HOME=str(tmp_path))
    assert found.parent == tmp_path / "rollcast"
    assert found.name == code_directory().name  # the same sources, the same machine
    assert found.stat().st_mode & 0o077 == 0
    assert ROOT not in found.parents


def test_without_a_cache_that_may_be_written_to_there_is_another_place(tmp_path: Path) -> None:
    found = directory(XDG_CACHE_HOME="/dev/null/none", TMPDIR=str(tmp_path))
    assert tmp_path in found.parents
    assert found.is_dir()


@pytest.mark.slow
def test_the_first_use_compiles_and_says_so_and_the_next_does_not(tmp_path: Path) -> None:
    scenario = tmp_path / "shop.yaml"
    scenario.write_text(SHOP, encoding="utf-8")
    command = ["-m", "studio", "simulate", str(scenario), "--replications", "1", "--json"]
    cache = str(tmp_path / "cache")

    waits = run(*command, "--engine", "reference", XDG_CACHE_HOME=cache)
    assert waits.stderr == ""
    (tmp_path / "shop.rollcast-cells.sqlite").unlink()  # who takes what is stored needs no engine
    first = run(*command, XDG_CACHE_HOME=cache)
    assert first.stderr == "rollcast: compiling the fast engine, once; about 15 s\n"
    second = run(*command, XDG_CACHE_HOME=cache)
    assert second.stderr == ""

    answers = [json.loads(one.stdout) for one in (waits, first, second)]
    assert [one.pop("engine") for one in answers] == ["reference", "compiled", "compiled"]
    assert answers[0] == answers[1] == answers[2]
