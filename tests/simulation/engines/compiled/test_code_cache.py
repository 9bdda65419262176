"""The cache of the compiled engine's code, and the first compilation."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simulation.engines.compiled.code_cache import code_directory
from tests.helpers.command_line import SHOP
from tests.helpers.paths import ROOT


def run(*words: str, root: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )


def directory(root: Path = ROOT, **environment: str) -> Path:
    said = (
        "from simulation.engines.compiled.code_cache import code_directory; print(code_directory())"
    )
    return Path(run("-c", said, root=root, **environment).stdout.strip())


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


def test_a_second_clone_with_the_same_sources_uses_the_same_code(tmp_path: Path) -> None:
    """The folder's name depends on contents: neither on paths nor on dates."""
    clone = tmp_path / "clone"
    for name in ("executor", "simulation"):
        shutil.copytree(ROOT / name, clone / name, copy_function=shutil.copyfile)
    cache = str(tmp_path / "cache")
    first = directory(XDG_CACHE_HOME=cache)
    assert directory(clone, XDG_CACHE_HOME=cache) == first
    kernel = clone / "simulation/engines/compiled/kernel/loop.py"
    kernel.write_text(kernel.read_text() + "# another\n")
    assert directory(clone, XDG_CACHE_HOME=cache) != first


def test_code_that_was_long_not_used_is_deleted(tmp_path: Path) -> None:
    cache = tmp_path / "rollcast"
    ages_days = {"kernel-old": 31, "kernel-new": 29, "other-old": 31}
    for name, age_days in ages_days.items():
        (cache / name).mkdir(parents=True)
        (cache / name / "ready").touch()
        then_s = time.time() - age_days * 86_400
        os.utime(cache / name / "ready", (then_s, then_s))
    (cache / "kernel-under-way").mkdir()
    code = "from simulation.engines.compiled.code_cache import mark_ready; mark_ready()"
    run("-c", code, XDG_CACHE_HOME=str(tmp_path))
    left = {path.name for path in cache.iterdir()}
    own = directory(XDG_CACHE_HOME=str(tmp_path)).name
    assert left == {own, "kernel-new", "other-old", "kernel-under-way"}


def test_a_use_is_noted(tmp_path: Path) -> None:
    mark = directory(XDG_CACHE_HOME=str(tmp_path)) / "ready"
    mark.touch()
    os.utime(mark, (0, 0))
    code = "from simulation.engines.compiled.code_cache import is_ready; print(is_ready())"
    assert run("-c", code, XDG_CACHE_HOME=str(tmp_path)).stdout == "True\n"
    assert mark.stat().st_mtime > time.time() - 600


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
    assert first.stderr == "rollcast: compiling the fast engine, once; 30 s of a processor\n"
    second = run(*command, XDG_CACHE_HOME=cache)
    assert second.stderr == ""

    answers = [json.loads(one.stdout) for one in (waits, first, second)]
    assert [one.pop("engine") for one in answers] == ["reference", "compiled", "compiled"]
    assert answers[0] == answers[1] == answers[2]
