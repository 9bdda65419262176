"""Many command lines in one process that may have little memory; run by `test_large_input.py`.

Reads a JSON list of command lines on standard input, and writes for each its exit code and what it
said. What builds a large thing before it asks for its size ends in a `MemoryError` here.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import sys
import traceback
from pathlib import Path

EXTRA_BYTES = 512 << 20
"""How much memory the commands may have beyond what the program takes when it is loaded."""


def run_command(arguments: list[str]) -> tuple[int, str]:
    """The exit code, and standard error (or the end of a traceback)."""
    from studio.__main__ import main as rollcast_main

    errors = io.StringIO()
    sys.argv = ["rollcast", *arguments]
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = rollcast_main()
        except Exception:  # a defect is what is looked for
            return 70, traceback.format_exc()[-500:]
    return code, errors.getvalue()


def main() -> None:
    """Runs the commands that are asked for."""
    commands = json.load(sys.stdin)
    run_command(commands[0])  # loads what every command needs
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    now = int(pages) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + EXTRA_BYTES, now + EXTRA_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (300, 300))
    print(json.dumps([run_command(command) for command in commands]))


if __name__ == "__main__":
    main()
