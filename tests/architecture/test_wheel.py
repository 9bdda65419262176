"""The wheel, built in a dirty checkout, installed alone and run outside the checkout."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from executor.base.extras import LIBRARIES
from tests.helpers.command_line import SHOP
from tests.helpers.fleet import fleet
from tests.helpers.haproxy import until
from tests.helpers.paths import ROOT
from tests.helpers.plans import example_plan_text

UV = [sys.executable, "-m", "uv"]
PACKAGES = ("executor", "simulation", "studio")
LEFT_IN_A_CHECKOUT = (
    "scenarios/checkout-evening.rollcast-cells.sqlite",
    "scenarios/checkout-evening.rollcast-cells.sqlite-wal",
    "scenarios/my-own.yaml",
    "scenarios/expected/my-own.json",
    "scenarios/rollcast-out/plan.json",
    "assets/lessons/draining.rollcast-cells.sqlite",
    "assets/lessons/notes.yaml",
    "docs/screenshots/replay-light.png",
    "assets/icons/.DS_Store",
    "studio/checkout-evening.rollcast-cells.sqlite",
    "executor/plan.journal",
    "simulation/__pycache__/run.cpython-311.pyc",
)
"""Files that use and development leave behind; the wheel may contain none."""

ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in ("PYTHONPATH", "VIRTUAL_ENV", "DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
}


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def install(command: list[str], cwd: Path) -> None:
    """Run uv with the versions of the lock; download only what uv's cache lacks."""
    command += ["--constraint", str(ROOT / "requirements-dev.lock")]
    cached = subprocess.run([*command, "--offline"], cwd=cwd, capture_output=True, check=False)
    if cached.returncode != 0:
        run(*command, cwd=cwd)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the project without git, so that only its own list keeps files out of the wheel."""
    copy = tmp_path_factory.mktemp("dirty") / "checkout"
    for name in (*PACKAGES, "assets", "scenarios"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, copy / name)
    for name in LEFT_IN_A_CHECKOUT:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(b"left here")
    return copy


@pytest.fixture(scope="module")
def wheel(checkout: Path) -> Path:
    out = checkout.parent / "wheel"
    run(*UV, "build", "--wheel", "--no-build-isolation", "--out-dir", str(out), ".", cwd=checkout)
    (built,) = out.glob("*.whl")
    return built


class Host:
    """An environment of its own, and the folder in which its `rollcast` runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        run(*UV, "venv", "--python", sys.executable, str(folder / "venv"), cwd=folder)
        self.bin = folder / "venv" / "bin"
        self.python = self.bin / "python"

    def rollcast(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bin / "rollcast"), *words],
            cwd=self.folder,
            env={**ENVIRONMENT, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def refuses(self, *words: str, extra: str, **more: str) -> list[str]:
        """Assert one line with the extra's name and exit code 2. Return the install command."""
        done = self.rollcast(*words, **more)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert done.stderr.startswith("rollcast: ")
        assert done.stderr.count("\n") == 1
        assert f" needs the extra `{extra}` (" in done.stderr
        return shlex.split(done.stderr.partition("; install it with: ")[2])

    def has(self, library: str) -> bool:
        code = f"import importlib.util as u; print(u.find_spec({library!r}) is not None)"
        return run(str(self.python), "-c", code, cwd=self.folder).strip() == "True"


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """Make a fresh environment with the wheel and its base dependencies."""
    host = Host(tmp_path_factory.mktemp("base"))
    install([*UV, "pip", "install", "--python", str(host.python), str(wheel)], host.folder)
    (host.folder / "plan.json").write_text(example_plan_text(), encoding="utf-8")
    (host.folder / "shop.yaml").write_text(SHOP, encoding="utf-8")
    return host


def shipped_data() -> set[str]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        target = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]["wheel"]
    return {name.lstrip("/") for name in target["include"] if not name.endswith("*.py")}


def test_the_wheel_holds_its_modules_and_the_listed_data_and_nothing_else(
    checkout: Path, wheel: Path
) -> None:
    held = {
        name.replace("studio/_data/", "", 1)
        for name in zipfile.ZipFile(wheel).namelist()
        if ".dist-info/" not in name
    }
    modules = {
        str(path.relative_to(checkout))
        for package in PACKAGES
        for path in (checkout / package).rglob("*.py")
    }
    assert held == modules | shipped_data()
    assert not held & set(LEFT_IN_A_CHECKOUT)


def test_every_resource_in_the_repository_is_listed() -> None:
    folders = ("assets/", "scenarios/", "studio/reports/templates/")
    asked = ["git", "ls-files", *folders]
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("only git knows which files belong to the project")
    tracked = set(run(*asked, cwd=ROOT).split())
    assert tracked == {name for name in shipped_data() if name.startswith(folders)}


@pytest.mark.parametrize("name", ["scenarios", "assets"])
def test_an_installed_program_finds_its_resources(base: Host, name: str) -> None:
    code = f"from studio.resources import {name}_dir; print({name}_dir())"
    found = Path(run(str(base.python), "-c", code, cwd=base.folder).strip())
    assert found.is_dir()
    assert found.parts[-3:] == ("studio", "_data", name)
    assert base.folder in found.parents


def test_the_base_holds_none_of_the_libraries_of_an_extra(base: Host) -> None:
    libraries = [library for names in LIBRARIES.values() for library in names]
    # typer of the base brings rich.
    assert [library for library in libraries if base.has(library)] == ["rich"]


@pytest.mark.parametrize("words", [("--version",), ("scenarios",), ("compare", "--help")])
def test_the_base_answers_what_needs_nothing(base: Host, words: tuple[str, ...]) -> None:
    done = base.rollcast(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_the_base_validates_and_exports_a_plan(base: Host, tmp_path: Path) -> None:
    done = base.rollcast("validate", "plan.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "✓ the window fits the fleet and its minimum in the pool" in done.stdout
    done = base.rollcast("export", "plan.json", "--to", "ansible", "-o", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert any(tmp_path.rglob("*"))


@pytest.mark.parametrize("command", ["validate", "execute", "resume"])
def test_the_base_refuses_half_a_plan(base: Host, tmp_path: Path, command: str) -> None:
    plan = tmp_path / "plan.json"
    text = example_plan_text()
    plan.write_text(text[: len(text) // 2], encoding="utf-8")
    options = () if command == "validate" else ("--inventory", "none.yaml")
    done = base.rollcast(command, str(plan), *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"rollcast: {plan}")
    assert done.stderr.count("\n") == 1


OTHER_COMMANDS: list[tuple[str, dict[str, str], str]] = [
    ("", {}, "simulation"),
    ("", {"DISPLAY": ":9"}, "studio"),
    ("simulate shop.yaml", {}, "simulation"),
    ("compare shop.yaml", {}, "simulation"),
    ("plan shop.yaml -o p.json", {}, "simulation"),
    ("why shop.yaml", {}, "simulation"),
    ("sensitivity shop.yaml", {}, "simulation"),
    ("validate shop.yaml", {}, "simulation"),
    ("validate plan.json --again", {}, "simulation"),
    ("import access.log -o s.yaml", {}, "simulation"),
    ("report plan.json -o r.html", {}, "simulation"),
    ("cache", {}, "simulation"),
    ("lab up", {}, "simulation"),
    ("lab run plan.json", {}, "simulation"),
    ("lab compare", {}, "simulation"),
    ("studio", {}, "studio"),
    ("studio shop.yaml --screenshots pictures", {}, "studio"),
    ("shop.yaml", {}, "studio"),
]
"""Commands that the base cannot run, with environment variables and the extra that each needs."""


@pytest.mark.parametrize(("words", "more", "extra"), OTHER_COMMANDS)
def test_the_base_names_the_extra_of_another_command(
    base: Host, words: str, more: Mapping[str, str], extra: str
) -> None:
    before = set(base.folder.iterdir())
    command = base.refuses(*words.split(), extra=extra, **more)
    # uv made this environment, without pip, from a wheel file.
    assert command[:4] == ["uv", "pip", "install", "--python"]
    assert command[4] == str(base.python)
    assert command[5].startswith(f"rollcast[{extra}] @ file:///")
    assert set(base.folder.iterdir()) == before


def test_every_command_works_in_the_base_or_says_what_it_needs(base: Host) -> None:
    """A new command must be in the table above, or work in the base."""
    text = base.rollcast("--help").stdout.partition("Commands")[2]
    commands = {line.split()[0] for line in text.splitlines()[1:] if line[2:3].isalpha()}
    works = {"execute", "resume", "validate", "export", "new", "scenarios", "help"}
    refused = {words.split()[0] for words, _, _ in OTHER_COMMANDS if words} - {"shop.yaml"}
    assert commands == works | refused


@pytest.mark.slow
@pytest.mark.parametrize("program", ["rollcast", "python -m executor"])
def test_the_base_carries_a_plan_out_and_goes_on_with_one(
    base: Host, tmp_path: Path, program: str
) -> None:
    python = [str(base.python), "-m", "executor"]
    start = [str(base.bin / "rollcast")] if program == "rollcast" else python
    with fleet(tmp_path, 2) as made:
        made.plans(window=1, min_in_pool=1)
        files = [str(made.plan), "--inventory", str(made.inventory)]
        (made.of("checkout-2") / "fault").write_text("deploy hangs")
        environment = {**ENVIRONMENT, "ROLLCAST_STATE": made.environment()["ROLLCAST_STATE"]}
        with subprocess.Popen([*start, "execute", *files], cwd=tmp_path, env=environment) as begun:
            until(lambda: "deploy 1.1" in made.commands("checkout-2"), "the command hangs")
            begun.kill()
        assert begun.returncode == -signal.SIGKILL
        (made.of("checkout-2") / "fault").unlink()
        done = subprocess.run(
            [*start, "resume", *files],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert made.versions() == ["1.1", "1.1"]


@pytest.mark.slow
def test_the_simulation_is_added_by_the_command_that_was_told(wheel: Path, tmp_path: Path) -> None:
    """Add the command line without Qt to an environment that had only the base."""
    host = Host(tmp_path)
    install([*UV, "pip", "install", "--python", str(host.python), str(wheel)], tmp_path)
    (tmp_path / "shop.yaml").write_text(SHOP, encoding="utf-8")
    _, *rest = host.refuses("compare", "shop.yaml", extra="simulation")
    install([*UV, *rest], tmp_path)
    assert not any(host.has(name) for name in ("PySide6", "pyarrow", "distributed"))

    reference = ("--engine", "reference", "--jobs", "1")
    done = host.rollcast("compare", "shop.yaml", "--windows", "1,2", *reference)
    assert (done.returncode, done.stderr) == (0, "")
    assert "May two be out at once?" in done.stdout
    html, csv = tmp_path / "r.html", tmp_path / "requests.csv"
    files = ("--html", str(html), "--requests", str(csv))
    done = host.rollcast("simulate", "shop.yaml", *reference, *files)
    assert (done.returncode, done.stderr) == (0, "")
    assert html.stat().st_size > 0
    assert csv.read_text().count("\n") > 100
    assert host.rollcast("validate", "shop.yaml").returncode == 0

    words = ("simulate", "shop.yaml", "--requests", "r.parquet")
    assert host.refuses(*words, extra="parquet")[-1].startswith("rollcast[parquet] @ file:///")
    assert not (tmp_path / "r.parquet").exists()
    assert host.refuses("studio", extra="studio")[-1].startswith("rollcast[studio] @ file:///")
    words = ("compare", "shop.yaml", "--cluster", "tcp://127.0.0.1:1")
    assert host.refuses(*words, "--seed", "9", *reference[:2], extra="cluster")
