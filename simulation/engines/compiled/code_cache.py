"""Where the compiled engine's machine code is kept, and whether it is there.

The code is compiled on first use, which takes a while, and kept in the user's cache directory. The
folder's name is a digest of what decides the code: the contents of the kernel's sources, the versions
of Numba, llvmlite, NumPy and Python, and the machine. So a second clone with the same sources uses
the code of the first, and an installation that must not be written to needs nothing else.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shutil
import sys
import time
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
"""Sources outside the kernel's folder that the kernel's constants come from."""

COMPILE_CPU_S = 30.0
"""Processor time of a compilation, in seconds: 29 and 30 s measured on the machine of
docs/performance.md."""

_UNUSED_S = 30 * 86_400.0
"""Machine code that was not used for this long is deleted, in seconds."""

_NOTED_EVERY_S = 3600.0
"""The date of use is written at most this often, in seconds: every run asks for the code."""

_PREFIX = "kernel-"


@cache
def code_directory() -> Path:
    """Return the folder of the code that belongs to these sources and this machine, and make it."""
    here = Path(__file__).parent
    simulation = here.parents[1]
    digest = hashlib.sha256()
    for path in [*sorted(here.glob("kernel/*.py")), *(simulation / name for name in _CONSTANTS)]:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(simulation).as_posix()} {content}\n".encode())
    versions = [importlib.metadata.version(name) for name in ("numba", "llvmlite", "numpy")]
    digest.update(f"{sys.version} {platform.machine()} {platform.node()} {versions}".encode())
    return cache_directory(f"{_PREFIX}{digest.hexdigest()[:16]}")


def _mark() -> Path:
    """Return the file whose presence says that the code is whole, and whose date that it was used."""
    return code_directory() / "ready"


def is_ready() -> bool:
    """Return whether the compiled engine can be used at once, and note that it is about to be."""
    try:
        if time.time() - _mark().stat().st_mtime > _NOTED_EVERY_S:
            os.utime(_mark())
    except FileNotFoundError:
        return False
    except OSError:  # the folder of another user: its code may be used, its dates not set
        return _mark().exists()
    return True


def mark_ready() -> None:
    """Note that the code is whole, and delete code that was not used for `_UNUSED_S`."""
    _mark().touch()
    oldest_s = time.time() - _UNUSED_S
    for folder in code_directory().parent.glob(f"{_PREFIX}*"):
        mark = folder / "ready"
        with suppress(OSError):  # another process compiles there, or deletes it too
            if mark.stat().st_mtime < oldest_s:
                shutil.rmtree(folder)


def code_size_bytes() -> int:
    """Return the size of all machine code in the user's cache, that of other versions included."""
    total = 0
    for folder in code_directory().parent.glob(f"{_PREFIX}*"):
        for file in folder.rglob("*"):
            with suppress(OSError):  # another process deletes it
                total += file.stat().st_size
    return total


def wait_for_compiler(lock: IO[str]) -> None:
    """Wait until no other process compiles.

    Where the system has no such locks, two processes may compile at once: both write the same code.
    """
    with suppress(ModuleNotFoundError):
        import fcntl  # noqa: PLC0415 - not everywhere

        fcntl.flock(lock, fcntl.LOCK_EX)
