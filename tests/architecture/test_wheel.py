"""The wheel, installed alone as on a deployment host: the executor works, the resources came along."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.helpers.fleet import fleet
from tests.helpers.plans import example_plan_text

ROOT = Path(__file__).resolve().parents[2]
UV = [sys.executable, "-m", "uv"]
STUDIO_LIBRARIES = {"pyside6-essentials", "simpy", "matplotlib", "pandas", "numpy", "typer"}


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(*UV, "build", "--wheel", "--no-build-isolation", "--out-dir", str(out), ".", cwd=ROOT)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def host_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment that holds the wheel and its base dependencies."""
    host = tmp_path_factory.mktemp("host")
    run(*UV, "venv", "--python", sys.executable, str(host / "venv"), cwd=host)
    python = host / "venv" / "bin" / "python"
    install = [*UV, "pip", "install", "--python", str(python), str(wheel)]
    install += ["--constraint", str(ROOT / "requirements.lock")]
    # What set this project up left its downloads in uv's cache; else they are fetched again.
    cached = subprocess.run([*install, "--offline"], cwd=host, capture_output=True, check=False)
    if cached.returncode != 0:
        run(*install, cwd=host)
    return python


def test_the_executor_validates_a_plan_without_the_studio(
    host_python: Path, tmp_path: Path
) -> None:
    listed = run(
        *UV, "pip", "list", "--python", str(host_python), "--format", "freeze", cwd=tmp_path
    )
    installed = {line.split("==")[0].lower() for line in listed.splitlines()}
    assert {"rollcast", "pydantic"} <= installed
    assert not installed & STUDIO_LIBRARIES
    plan = tmp_path / "plan.json"
    plan.write_text(example_plan_text(), encoding="utf-8")
    run(str(host_python), "-m", "executor", "validate", str(plan), cwd=tmp_path)


@pytest.mark.slow
def test_the_executor_carries_a_plan_out_without_the_studio(
    host_python: Path, tmp_path: Path
) -> None:
    with fleet(tmp_path, 2) as made:
        made.plans(window=1, min_in_pool=1)
        _, *words = made.command()
        done = subprocess.run(
            [str(host_python), *words],
            cwd=tmp_path,
            env=made.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert made.versions() == ["1.1", "1.1"]


def test_the_executor_refuses_half_a_plan(host_python: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    text = example_plan_text()
    plan.write_text(text[: len(text) // 2], encoding="utf-8")
    done = subprocess.run(
        [str(host_python), "-m", "executor", "validate", str(plan)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "plan.json" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["scenarios", "assets"])
def test_the_wheel_carries_the_resources(wheel: Path, host_python: Path, name: str) -> None:
    carried = {
        path.removeprefix(f"studio/_data/{name}/")
        for path in zipfile.ZipFile(wheel).namelist()
        if path.startswith(f"studio/_data/{name}/")
    }
    shipped = {
        str(path.relative_to(ROOT / name)) for path in (ROOT / name).rglob("*") if path.is_file()
    }
    assert shipped
    assert carried == shipped
    found = run(
        str(host_python),
        "-c",
        f"from studio.resources import {name}_dir; print({name}_dir())",
        cwd=wheel.parent,
    )
    assert Path(found.strip()).is_dir()
    assert Path(found.strip()).parts[-3:] == ("studio", "_data", name)
