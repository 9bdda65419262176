"""What decides what a run gives, beside its scenario: this code and the libraries it counts with.

Leaves: one short text that is the same wherever the same version is installed. Stored results and the
workers of a cluster go by it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from functools import cache
from pathlib import Path

_LIBRARIES = ("networkx", "numba", "numpy", "scipy", "simpy")


@cache
def engine_version() -> str:
    """Such as ``0.1.0+5f3a…``: the tool's version, and a digest over sources and libraries.

    The sources are those of the whole simulation, of what a plan calls a wave, and of the rules by which
    tools count. A digest of
    their contents, not of their dates: two machines with the same version agree.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256()
    ground = here.parent / "executor"
    sources = [*here.rglob("*.py"), *ground.glob("dialects/*.py"), ground / "plan" / "model.py"]
    for path in sorted(sources):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(here.parent).as_posix()} {content}\n".encode())
    for name in _LIBRARIES:
        digest.update(f"{name} {importlib.metadata.version(name)}\n".encode())
    return f"{importlib.metadata.version('rollcast')}+{digest.hexdigest()[:16]}"
