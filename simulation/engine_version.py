"""A version of everything that decides the result of a run beside its scenario: code and libraries.

Stored results and the workers of a cluster are used only where this version is the same.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_LIBRARIES = ("networkx", "numba", "numpy", "scipy", "simpy")

_SOURCES = (
    "executor/dialects",
    "executor/plan/model.py",
    "executor/plan/waves.py",
    "simulation/control",
    "simulation/engines",
    "simulation/requests",
    "simulation/results",
    "simulation/run.py",
    "simulation/scenario",
)
"""Files and folders that a run is computed by. A test compares them with what `simulation.run` imports.

How a scenario's text is read and which scenarios are refused does not decide the result of one that
is accepted: see `_WITHOUT`.
"""

_WITHOUT = frozenset(
    f"simulation/scenario/{name}.py"
    for name in (
        "file",
        "freeze",
        "limit_rules",
        "rollout_rules",
        "rules",
        "traffic_rules",
        "yaml_edits",
    )
)


def source_files(root: Path) -> Iterator[Path]:
    """Return the files that decide the result of a run, in a fixed order.

    Args:
        root: The folder of the packages `executor` and `simulation`.
    """
    for name in _SOURCES:
        path = root / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if file.relative_to(root).as_posix() not in _WITHOUT:
                yield file


@cache
def engine_version() -> str:
    """Return the tool's version and a digest over sources and libraries, such as ``0.1.0+5f3a…``.

    The digest is over the contents of files, not over their dates or paths: two machines with the same
    sources and libraries agree.
    """
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in source_files(root):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    for name in _LIBRARIES:
        digest.update(f"{name} {importlib.metadata.version(name)}\n".encode())
    return f"{importlib.metadata.version('rollcast')}+{digest.hexdigest()[:16]}"
