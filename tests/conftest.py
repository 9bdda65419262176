"""What every test stands on: Qt without a screen, figures without a window, no thread left over."""

import os
import sys
import threading
from collections.abc import Iterator

# Before anything imports Qt or matplotlib: both read these once.
os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["MPLBACKEND"] = "Agg"

import pytest

LEFTOVER_THREAD_GRACE_S = 5.0


@pytest.fixture(autouse=True)
def no_thread_left_over() -> Iterator[None]:
    """A test ends what it starts: no non-daemon thread outlives it."""
    before = set(threading.enumerate())
    yield
    if "joblib.externals.loky" in sys.modules:
        from simulation.study import stop_workers

        stop_workers()
    leftover = [
        thread for thread in threading.enumerate() if thread not in before and not thread.daemon
    ]
    for thread in leftover:
        thread.join(LEFTOVER_THREAD_GRACE_S)  # one that is ending may end
    alive = [thread.name for thread in leftover if thread.is_alive()]
    assert not alive, f"threads still alive after the test: {', '.join(alive)}"
