"""Layers at run time, which import-linter's static contracts cannot see."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import grimp
import networkx as nx
import pytest

from tests.helpers.paths import ROOT

PACKAGES = ("executor", "simulation", "studio")
NOT_ON_THE_GROUND_FLOOR = {
    "PySide6",
    "asyncssh",  # loaded when a host is reached by ssh
    "cryptography",  # when a plan is signed or must be
    "loky",
    "matplotlib",
    "networkx",
    "numpy",
    "pandas",
    "pyarrow",
    "rich",
    "scipy",
    "simpy",
    "simulation",
    "studio",
    "typer",
}

# Import every module of a package in a fresh interpreter; print the modules that are then loaded.
WALK = """
import importlib, json, pkgutil, sys
package = importlib.import_module(sys.argv[1])
names = [m.name for m in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
for name in names:
    importlib.import_module(name)
print(json.dumps({"modules": names, "loaded": sorted({m.split(".")[0] for m in sys.modules})}))
"""


def walk(package: str) -> tuple[list[str], set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", WALK, package],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return answer["modules"], set(answer["loaded"])


def test_every_executor_module_loads_without_the_floors_above() -> None:
    modules, loaded = walk("executor")
    assert {"executor.plan.model", "executor.plan.file", "executor.__main__"} <= set(modules)
    assert not loaded & NOT_ON_THE_GROUND_FLOOR


def test_every_simulation_module_loads_without_the_studio_qt_or_matplotlib() -> None:
    modules, loaded = walk("simulation")
    assert "simulation.scenario.model" in modules
    assert not loaded & {"PySide6", "matplotlib", "studio", "typer"}


def test_every_chart_loads_without_qt() -> None:
    _, loaded = walk("studio.charts")
    assert "PySide6" not in loaded


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=str(path.relative_to(ROOT)))
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("__init__.py"))
    ],
)
def test_an_init_file_holds_a_docstring_and_nothing_else(path: Path) -> None:
    statements = ast.parse(path.read_text(encoding="utf-8")).body
    assert len(statements) == 1
    assert isinstance(statements[0], ast.Expr)
    assert isinstance(statements[0].value, ast.Constant)
    assert isinstance(statements[0].value.value, str)


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert sorted(f for f in folders if not (f / "__init__.py").is_file()) == []


def test_no_circle_of_imports_is_left() -> None:
    """Imports that only a type checker sees count, too, because a reader must follow them as well."""
    imports = grimp.build_graph(*PACKAGES, cache_dir=None)
    graph = nx.DiGraph(
        (module, imported)
        for module in imports.modules
        for imported in imports.find_modules_directly_imported_by(module)
    )
    assert [sorted(c) for c in nx.strongly_connected_components(graph) if len(c) > 1] == []


def test_no_folder_is_a_drawer() -> None:
    """A folder with more modules than a reader can keep in mind must be split."""
    folders = {
        folder: len([path for path in folder.glob("*.py") if path.stem != "__init__"])
        for package in PACKAGES
        for folder in (ROOT / package, *(ROOT / package).rglob("*/"))
    }
    assert {str(folder): count for folder, count in folders.items() if count > 18} == {}
