"""Run many command lines in one process with limited memory, for `test_large_input.py`.

The input is a JSON list of command lines, the output a list of exit codes and error messages. A command that
allocates a large object before it checks the size ends in a `MemoryError` here.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import resource
import sys
import traceback
from pathlib import Path

EXTRA_BYTES = 512 << 20
"""Memory that the commands may use beyond that of the loaded program, in bytes."""


LOADED_BY_COMMANDS = (
    "pandas",
    "scipy.stats",
    "simulation.importers.together",
    "simulation.planning.make_plan",
    "simulation.study.driver",
)


def run_command(arguments: list[str]) -> tuple[int, str]:
    """Run one command. Return its exit code, and standard error or the end of a traceback."""
    from studio.__main__ import main as rollcast_main

    errors = io.StringIO()
    sys.argv = ["rollcast", *arguments]
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = rollcast_main()
        except Exception:  # a defect, which the test looks for
            return 70, traceback.format_exc()[-500:]
    return code, errors.getvalue()


def main() -> None:
    """Run the commands that standard input lists."""
    commands = json.load(sys.stdin)
    run_command(commands[0])
    for name in LOADED_BY_COMMANDS:  # a library reserves address space when it is loaded
        importlib.import_module(name)
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    now = int(pages) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + EXTRA_BYTES, now + EXTRA_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (300, 300))
    print(json.dumps([run_command(command) for command in commands]))


if __name__ == "__main__":
    main()
