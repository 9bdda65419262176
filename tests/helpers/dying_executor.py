"""Run the executor and kill it with SIGKILL before or after a write of its journal.

``python dying_executor.py KIND STEP before|after ARGUMENTS…``: the process kills itself before or
after it writes the first event of this kind and step; ARGUMENTS are the executor's own.
"""

from __future__ import annotations

import os
import signal
import sys

from executor.__main__ import main
from executor.progress import Event
from executor.records.journal import Journal

real = Journal.write


def write(self: Journal, event: Event, at: str) -> None:
    """Write the event, and kill this process before or after the chosen one."""
    kind, step, when = sys.argv[1:4]
    dies = event.kind == kind and (event.step or "") == step
    if dies and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    real(self, event, at)
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)


Journal.write = write  # type: ignore[method-assign] # the only place to die at
sys.exit(main(sys.argv[4:]))
