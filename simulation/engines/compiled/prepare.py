"""Compile the kernel before its first use."""

from __future__ import annotations

from simulation.engines.compiled.code_cache import (
    code_directory,
    is_ready,
    mark_ready,
    wait_for_compiler,
)


def prepare() -> None:
    """Compile the engine, unless its code is there or another process is about to compile it."""
    if is_ready():
        return
    with (code_directory() / "lock").open("w") as lock:
        wait_for_compiler(lock)
        if is_ready():
            return
        # Numba takes a while to import.
        from simulation.engines.compiled.kernel import (  # noqa: PLC0415
            loop,  # noqa: F401 - what is compiled
            streams,  # noqa: F401 - what is compiled
        )
        from simulation.engines.compiled.kernel.build import compile_all  # noqa: PLC0415

        compile_all()
        mark_ready()


if __name__ == "__main__":
    prepare()
