"""Where the compiled engine's machine code is kept, and whether it is there.

The code is compiled on first use, which takes a while, and kept in the user's cache directory, apart
for every version of the kernel's sources, of Numba, of Python and for every kind of processor. An
installation that may not be written to needs nothing else.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

from executor.base.directories import cache_directory

_CONSTANTS = (
    "results/run_result.py",
    "results/tally.py",
    *(
        f"requests/{name}.py"
        for name in ("belief", "call_states", "draws", "plane", "retry_budget")
    ),
)
"""Where the kernel has its constants from."""


@cache
def code_directory() -> Path:
    """The directory of the code that belongs to these sources and this machine; it exists."""
    here = Path(__file__).parent
    simulation = here.parents[1]
    digest = hashlib.sha256()
    for path in [*sorted(here.glob("kernel/*.py")), *(simulation / name for name in _CONSTANTS)]:
        found = path.stat()  # what Numba's own cache goes by
        digest.update(f"{path} {found.st_mtime_ns} {found.st_size}\n".encode())
    versions = [importlib.metadata.version(name) for name in ("numba", "llvmlite", "numpy")]
    digest.update(f"{sys.version} {platform.machine()} {platform.node()} {versions}".encode())
    return cache_directory(f"kernel-{digest.hexdigest()[:16]}")


def _mark() -> Path:
    return code_directory() / "ready"


def is_ready() -> bool:
    """Whether the compiled engine can be used at once."""
    return _mark().exists()


def _wait_for(lock: IO[str]) -> None:
    """Wait until no other process compiles.

    Where the system has no such locks, two processes may compile at once: both write the same code.
    """
    with suppress(ModuleNotFoundError):
        import fcntl  # noqa: PLC0415 - not everywhere

        fcntl.flock(lock, fcntl.LOCK_EX)
