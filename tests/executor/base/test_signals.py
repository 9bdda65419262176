"""Signals: a request to stop is heard whatever was inherited, and nothing ignored is passed on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from executor.base.signals import STOP_SIGNALS, StopRequests
from tests.helpers.paths import ROOT

RUNS_A_COMMAND = """
import asyncio
from executor.fleet.hosts.local import Local
from executor.base.signals import StopRequests
with StopRequests():
    ran = asyncio.run(Local().run(["grep", "-E", "SigIgn|SigBlk", "/proc/self/status"], 10, {}))
print(ran.output, end="")
"""


def test_a_command_inherits_no_signal_as_ignored_or_blocked() -> None:
    ignoring = 'trap "" INT QUIT HUP USR1 USR2 ALRM; exec "$@"'
    run = subprocess.run(
        ["sh", "-c", ignoring, "sh", sys.executable, "-c", RUNS_A_COMMAND],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert [line.split()[1] for line in run.stdout.splitlines()] == ["0" * 16] * 2


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_request_is_heard_and_what_was_before_is_restored(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_DFL if number is signal.SIGHUP else signal.SIG_IGN)
    inherited = signal.getsignal(number)
    try:
        requests, heard = StopRequests(), list[int]()
        with requests:
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), number)
            requests.on_stop = lambda: heard.append(1)
            os.kill(os.getpid(), number)
        assert heard == [1]
        assert signal.getsignal(number) is inherited
    finally:
        signal.signal(number, before)


def test_a_hang_up_that_a_person_wants_ignored_is() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequests():
            os.kill(os.getpid(), signal.SIGHUP)  # as after nohup: nothing is raised
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_nothing_is_changed() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def enter() -> object:
        with StopRequests():
            return signal.getsignal(signal.SIGTERM)

    async def aside() -> object:
        return await asyncio.to_thread(enter)

    assert asyncio.run(aside()) == before
