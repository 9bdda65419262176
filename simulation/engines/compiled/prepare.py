"""Compile the kernel before its first use."""

from __future__ import annotations

from simulation.engines.compiled.code_cache import _mark, _wait_for, code_directory, is_ready


def prepare() -> None:
    """Compiles the engine, unless that is done or another process is about to do it."""
    if is_ready():
        return
    with (code_directory() / "lock").open("w") as lock:
        _wait_for(lock)
        if is_ready():
            return
        # Numba takes a while to import.
        from simulation.engines.compiled.kernel import (  # noqa: PLC0415
            loop,  # noqa: F401 - what is compiled
            streams,  # noqa: F401 - what is compiled
        )
        from simulation.engines.compiled.kernel.build import compile_all  # noqa: PLC0415

        compile_all()
        _mark().touch()


if __name__ == "__main__":
    prepare()
