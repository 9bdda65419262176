"""Carrying a plan out from the studio: the executor in a process of its own, told and watched.

Enters: a plan, where it is to be carried out, and who says when to stop or rest. Leaves, one by one: what is
said, what has happened so far, and how it ended. A process of its own, since the executor outlives its
reader, takes signals, and must not fall with a window. Nothing here knows Qt.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from executor.approval import ByFile
from executor.base.errors import BadInput, RollcastError
from executor.execute import EXIT_CODES, Execute
from executor.plan.file import write_plan
from executor.plan.model import STEPS, Plan
from executor.progress import Ended
from executor.records.journal import Journal
from executor.records.timeline import timeline
from studio.rollouts.kept_rollouts import folder_of

LOOKS_S = 0.25
"""So often the journal is looked at: four pictures a second."""

FINISHES_WITHIN_S = 10.0
"""Who gives a rollout up waits so long for the steps in hand; then it stops at once, resumable."""

DIES_WITHIN_S = 5.0

_STOP = signal.SIGTERM
"""Halts the executor. SIGINT does too once the executor has begun, but is lost before: a child of a
studio that a script started in the background ignores it until then."""

_REST = 10
"""A journal that takes long to read is read again only after so many times as long."""

_AWAITED = re.compile(r"wave (\d+) begins when the file says: ")
_RESUMABLE = {EXIT_CODES[Ended.HALTED], EXIT_CODES[Ended.INTERRUPTED]}


class ExecutorControl(Protocol):
    """Who says whether it shall rest or end, and takes what comes of it."""

    def should_stop(self) -> bool:
        """Whether it shall be given up."""
        ...

    def should_pause(self) -> bool:
        """Whether it shall halt."""
        ...

    def resume_count(self) -> int:
        """How often it was let go on after a rest."""
        ...

    def publish(self, result: object) -> None:
        """Takes something in."""
        ...

    def report_progress(self, done: int, total: int) -> None:
        """Hears how many steps are done, of how many."""
        ...


@dataclass(frozen=True)
class Said:
    """A line of the executor, or about it.

    Attributes:
        is_wrong: Whether it is a warning or says what went wrong.
    """

    line: str
    is_wrong: bool = False


@dataclass(frozen=True)
class Happened:
    """The record so far, as `executor.records.timeline` tells it."""

    timeline: dict[str, Any]


@dataclass(frozen=True)
class Awaits:
    """A wave begins when somebody approves it, by `approve`."""

    wave: int


@dataclass(frozen=True)
class Stopped:
    """The executor has ended.

    Attributes:
        code: Its exit code.
    """

    code: int

    @property
    def may_resume(self) -> bool:
        """Whether it can go on where it stopped; one that was killed can, too."""
        return self.code in _RESUMABLE or self.code < 0


def approvals_of(journal: Path) -> Path:
    """The file beside a journal whose lines approve waves."""
    return journal.with_suffix(".approved")


def approve(plan: Plan, file: Path, wave: int) -> None:
    """Lets a wave begin.

    Raises:
        BadInput: The file cannot be written.
    """
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a") as lines:
            lines.write(f"{ByFile(file, plan.digest).line(wave)}\n")
    except OSError as error:
        raise BadInput(f"{file}: cannot be written: {error.strerror or error}") from None


def on_inventory(
    plan: Plan,
    inventory: Path,
    reins: ExecutorControl,
    *,
    asks: bool = False,
    dry_run: bool = False,
    resumes: bool = False,
) -> int:
    """Carries a plan out on the fleet of an inventory; the exit code of the executor.

    Args:
        plan: What is carried out; it is written into its folder.
        inventory: Where the fleet is.
        reins: Who is asked and told.
        asks: Whether each wave after the first must be approved.
        dry_run: Whether the exact actions are only said.
        resumes: Whether it goes on with what was left.

    Raises:
        BadInput: The plan cannot be written.
    """
    path = folder_of(plan) / "plan.json"
    if not resumes:  # it lies there, perhaps signed
        write_plan(path, plan)
    asked = Execute(plan=path, inventory=inventory, dry_run=dry_run, resume=resumes)
    return run_executor(asked, plan, reins, lambda line: reins.publish(Said(line)), asks=asks)


def run_executor(
    asked: Execute,
    plan: Plan,
    reins: ExecutorControl,
    say: Callable[[str], None],
    *,
    asks: bool = False,
) -> int:
    """Runs the executor until it has ended and nobody wants it to go on.

    Resting halts it: the steps in hand are finished. When the rest ends it resumes; so does one that has
    halted by itself, once somebody has let it rest and go on.

    Args:
        asked: What of the executor.
        plan: What it carries out.
        reins: Who is asked and told.
        say: Told each line of the executor.
        asks: Whether each wave after the first must be approved.
    """
    if asks:
        asked = replace(asked, approve=str(approvals_of(asked.journal_path)))
    while not reins.should_stop():
        child = _Child(asked, plan, reins, say)
        code = child.to_its_end()
        ended, before = Stopped(code), reins.resume_count()
        reins.publish(ended)
        if not ended.may_resume or asked.dry_run:
            return code
        while not reins.should_stop():
            goes_on = child.was_halted or reins.resume_count() != before
            if goes_on and not reins.should_pause():
                break
            time.sleep(LOOKS_S / 5)
        asked = replace(asked, resume=asked.journal_path.exists())
    return EXIT_CODES[Ended.INTERRUPTED]


class _Child:
    """One executor, from its start to its end.

    Attributes:
        was_halted: Whether it was told to halt.
    """

    def __init__(
        self, asked: Execute, plan: Plan, reins: ExecutorControl, say: Callable[[str], None]
    ) -> None:
        self._asked, self._plan, self._reins, self._say = asked, plan, reins, say
        self.was_halted = False
        self._told_s: list[float] = []
        self._shown: tuple[int, float] | None = None
        self._journal: Journal | None = None

    def to_its_end(self) -> int:
        """Runs it; its exit code."""
        # In this process's group: Ctrl-C at the terminal halts both, each in its own way.
        child = subprocess.Popen(
            list(command_of(self._asked)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            self._follow(child)
            self._look()
            code = child.wait()
            # Told before it could listen, it ends by the signal itself.
            return EXIT_CODES[Ended.INTERRUPTED] if self.was_halted and code < 0 else code
        finally:
            if self._journal is not None:
                self._journal.close()
            if child.poll() is None:  # an error here must not leave it running
                child.kill()
                child.wait()
            for stream in (child.stdout, child.stderr):
                assert stream is not None
                stream.close()

    def _follow(self, child: subprocess.Popen[bytes]) -> None:
        """Hands on what it says and has done until it says no more."""
        assert child.stdout is not None
        assert child.stderr is not None
        streams = {
            child.stdout.fileno(): (False, bytearray()),
            child.stderr.fileno(): (True, bytearray()),
        }
        next_look_s = 0.0
        with selectors.DefaultSelector() as selector:
            for number in streams:
                selector.register(number, selectors.EVENT_READ)
            while streams:
                for key, _ in selector.select(LOOKS_S):
                    is_wrong, text = streams[key.fd]
                    more = os.read(key.fd, 65536)
                    text += more if more else b"\n"
                    for line in _whole_lines(text):
                        self._hand_on(line, is_wrong)
                    if not more:
                        selector.unregister(key.fd)
                        del streams[key.fd]
                self._mind_reins(child)
                begun_s = time.monotonic()
                if begun_s >= next_look_s:
                    self._look()
                    took_s = time.monotonic() - begun_s
                    next_look_s = begun_s + max(LOOKS_S, _REST * took_s)

    def _hand_on(self, line: str, is_wrong: bool) -> None:
        if is_wrong:
            self._reins.publish(Said(line.removeprefix("executor: "), is_wrong=True))
            return
        awaited = _AWAITED.search(line)
        if awaited is not None:
            self._reins.publish(Awaits(int(awaited[1])))
        else:
            self._say(line)

    def _mind_reins(self, child: subprocess.Popen[bytes]) -> None:
        """A signal when it shall halt, another when it takes too long for whoever gives it up."""
        if child.poll() is not None:
            return
        now_s = time.monotonic()
        if self._reins.should_stop():
            patience_s = (0.0, FINISHES_WITHIN_S, DIES_WITHIN_S)
            told = len(self._told_s)
            if told == 0 or now_s - self._told_s[-1] >= patience_s[min(told, 2)]:
                child.send_signal(_STOP if told < 2 else signal.SIGKILL)
                self._told_s.append(now_s)
            self.was_halted = True
        elif self._reins.should_pause() and not self._told_s:
            child.send_signal(_STOP)
            self._told_s.append(now_s)
            self.was_halted = True

    def _look(self) -> None:
        """Hands on the record, where there is one and it tells more than before."""
        if self._asked.dry_run:
            return
        with suppress(RollcastError, sqlite3.Error, OSError):  # it is not there yet, or no more
            if self._journal is None:
                self._journal = Journal.open(self._asked.journal_path)
            told = timeline(self._plan, self._journal)  # which reads on from where it was
            told_up_to = (len(told["steps"]), max((s["end_s"] for s in told["states"]), default=0))
            if told_up_to != self._shown:
                self._shown = told_up_to
                self._reins.publish(Happened(told))
                done = sum(one["outcome"] == "done" for one in told["steps"])
                total = len(STEPS) * len(self._plan.instances)
                self._reins.report_progress(
                    min(done, total), total
                )  # a step done anew counts once more


def command_of(asked: Execute) -> Iterator[str]:
    """The command that runs the executor as it is asked to."""
    # Safe path: a folder `executor` where the studio was started is not this one.
    yield from (sys.executable, "-P", "-m", "executor", "execute", str(asked.plan))
    yield from ("--inventory", str(asked.inventory))
    if asked.dry_run:
        yield "--dry-run"
    if asked.resume:
        yield "--resume"
    if asked.journal is not None:
        yield from ("--journal", str(asked.journal))
    if asked.approve is not None:
        yield from ("--approve", asked.approve)


def _whole_lines(text: bytearray) -> Iterator[str]:
    """Takes the whole lines off the front of what was read."""
    while (end := text.find(b"\n")) >= 0:
        line = text[:end].decode(errors="replace").rstrip()
        del text[: end + 1]
        if line:
            yield line
