"""Systems without `fcntl`, signal masks and user ids, simulated by an interpreter in which these are blocked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.command_line import SHOP
from tests.helpers.fake_fleet import example_inventory
from tests.helpers.paths import ROOT
from tests.helpers.plans import example_plan, example_plan_text

TAKEN = """
import platformdirs.unix  # which goes by sys.platform, and that stays Linux's
import os, signal, sys
sys.modules["fcntl"] = None
for name in ("getuid", "geteuid"):
    delattr(os, name)
del signal.pthread_sigmask
os.supports_effective_ids.clear()
"""
WALK = """
import importlib, pkgutil
for name in ("executor", "simulation", "studio"):
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.startswith("studio.lab.") and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""
RUN = """
from studio.__main__ import main
sys.exit(main())
"""


def run(code: str, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", TAKEN + code, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ROLLCAST_STATE": str(folder / "state")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a scenario, a plan and its inventory into a folder."""
    (tmp_path / "shop.yaml").write_text(SHOP, encoding="utf-8")
    plan = tmp_path / "plan.json"
    plan.write_text(example_plan_text(), encoding="utf-8")
    plan.chmod(0o600)
    names = list(example_plan().instances)
    inventory = example_inventory(names).model_dump(mode="json", exclude_none=True)
    (tmp_path / "fleet.yaml").write_text(json.dumps(inventory), encoding="utf-8")
    return tmp_path


def test_every_module_but_the_lab_can_be_imported(tmp_path: Path) -> None:
    done = run(WALK, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "words",
    [
        "validate plan.json",
        "validate shop.yaml",
        "export plan.json --to ansible -o .",
        "simulate shop.yaml --jobs 1",
        "compare shop.yaml --windows 1,2 --jobs 2",
    ],
)
def test_the_command_works(folder: Path, words: str) -> None:
    done = run(RUN, *words.split(), folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


HOLD = """
from pathlib import Path
from executor.records.lock import Lock
lock = Lock.take(Path(sys.argv[1]), Path(sys.argv[2]), take_over=False)
print("held", flush=True)
input()
"""


def test_a_lock_keeps_a_second_executor_out_until_its_owner_is_dead(tmp_path: Path) -> None:
    lock, journal, other = (str(tmp_path / name) for name in ("a.lock", "journal", "other"))
    owner = subprocess.Popen(
        [sys.executable, "-c", TAKEN + HOLD, lock, journal],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    try:
        assert owner.stdout.readline() == "held\n"
        second = run(HOLD, lock, journal, folder=tmp_path)
        assert f"another executor is at work on this fleet: process {owner.pid}" in second.stderr
    finally:
        owner.kill()
        owner.communicate()
    third = run(HOLD, lock, other, folder=tmp_path)
    assert "the lock is stale" in third.stderr
    fourth = run(HOLD + "sys.exit(7)", lock, journal, folder=tmp_path)
    assert fourth.stdout == "held\n"


def test_a_plan_is_refused_for_its_fleet_only(folder: Path) -> None:
    words = ("execute", "plan.json", "--inventory", "fleet.yaml")
    done = run(RUN, *words, folder=folder)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("rollcast: plan.json: nothing was touched: ")
    assert done.stderr.count("\n") == 1
    assert not (folder / "plan.journal").exists()
