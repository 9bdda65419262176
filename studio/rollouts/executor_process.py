"""Rollouts that the studio carries out: the executor in a process of its own, watched and controlled.

The executor runs in its own process because it must outlive its reader, handles signals, and must
not fall with a window. Its events come as lines of JSON. Nothing here knows Qt.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from executor.approval import ByFile
from executor.base.errors import BadInput, RollcastError
from executor.decide import Waiting
from executor.diagnostics import VARIABLE
from executor.events import WaitBegun, Warned, parse_event
from executor.execute import EXIT_CODES, Execute
from executor.output import OutputFormat
from executor.plan.file import write_plan
from executor.plan.model import STEPS, Plan
from executor.progress import Ended
from executor.records.journal import Journal
from executor.records.timeline import timeline
from executor.tell import is_warning, lines_of
from studio.rollouts.kept_rollouts import folder_of

_logger = logging.getLogger(__name__)

LOOKS_S = 0.25
"""Time between two looks at the journal, in seconds: four pictures a second."""

FINISHES_WITHIN_S = 10.0
"""Maximum time, in seconds, for the running steps to finish after a rollout was given up. After it the
executor stops at once, and can be resumed."""

DIES_WITHIN_S = 5.0
"""Maximum time, in seconds, for an executor that was told twice to stop; after it it is killed."""

_STOP = signal.SIGTERM
"""The signal that halts the executor. SIGINT does too once the executor has begun, but is lost before: a
child of a studio that a script started in the background ignores SIGINT until then."""

_REST = 10
"""Minimum pause between two readings of the journal, in multiples of the time that one reading takes."""

_RESUMABLE = {EXIT_CODES[Ended.HALTED], EXIT_CODES[Ended.INTERRUPTED]}


class ExecutorControl(Protocol):
    """A person's requests to an executor, and the receiver of what it reports."""

    def should_stop(self) -> bool:
        """Return whether the rollout is given up."""
        ...

    def should_pause(self) -> bool:
        """Return whether the rollout must halt."""
        ...

    def resume_count(self) -> int:
        """Return how often the rollout was allowed to go on after a halt."""
        ...

    def publish(self, result: object) -> None:
        """Receive a result: a line, a record, an approval that is needed, or an exit."""
        ...

    def report_progress(self, done: int, total: int) -> None:
        """Receive how many steps are done, of how many."""
        ...


class LineKind(StrEnum):
    """The weight of a line of the executor."""

    TEXT = "text"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class OutputLine:
    """A line that the executor printed, or that is about it."""

    line: str
    kind: LineKind = LineKind.TEXT


@dataclass(frozen=True)
class RecordRead:
    """The record of the rollout so far, as `executor.records.timeline` makes it."""

    timeline: dict[str, Any]


@dataclass(frozen=True)
class ApprovalNeeded:
    """A wave that begins when a person approves it, by `approve`."""

    wave: int


@dataclass(frozen=True)
class ExecutorExit:
    """The end of an executor.

    Attributes:
        code: Its exit code.
    """

    code: int

    @property
    def may_resume(self) -> bool:
        """Return whether the rollout can go on where it stopped; after the executor was killed it can, too."""
        return self.code in _RESUMABLE or self.code < 0


def approval_file(journal: Path) -> Path:
    """Return the file beside a journal whose lines approve waves."""
    return journal.with_suffix(".approved")


def approve(plan: Plan, file: Path, wave: int) -> None:
    """Approve a wave.

    Raises:
        BadInput: The file cannot be written.
    """
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a") as lines:
            lines.write(f"{ByFile(file, plan.digest).line(wave)}\n")
    except OSError as error:
        raise BadInput(f"{file}: cannot be written: {error.strerror or error}") from None


def run_on_inventory(
    plan: Plan,
    inventory: Path,
    control: ExecutorControl,
    *,
    asks: bool = False,
    dry_run: bool = False,
    resumes: bool = False,
) -> int:
    """Carry a plan out on the fleet of an inventory; return the executor's exit code.

    Args:
        plan: The plan; it is written into its folder.
        inventory: The fleet.
        control: A person's requests, and the receiver of what the executor reports.
        asks: Whether each wave after the first must be approved.
        dry_run: Whether to report the exact actions and do none.
        resumes: Whether to go on with a rollout that was left unfinished.

    Raises:
        BadInput: The plan cannot be written.
    """
    path = folder_of(plan) / "plan.json"
    if not resumes:  # a plan that is resumed lies there already, perhaps signed
        write_plan(path, plan)
    asked = Execute(plan=path, inventory=inventory, dry_run=dry_run, resume=resumes)
    return run_executor(
        asked, plan, control, lambda line: control.publish(OutputLine(line)), asks=asks
    )


def run_executor(
    asked: Execute,
    plan: Plan,
    control: ExecutorControl,
    say: Callable[[str], None],
    *,
    asks: bool = False,
) -> int:
    """Run the executor until it has ended and nobody wants it to go on; return its exit code.

    A pause halts the executor: it finishes the steps that run. When the pause is over, the executor
    resumes. An executor that halted by itself resumes after a person has paused it and let it go on.

    Args:
        asked: The executor's arguments.
        plan: The plan that it carries out.
        control: A person's requests, and the receiver of what the executor reports.
        say: Is called with each line that says what happens.
        asks: Whether each wave after the first must be approved.
    """
    asked = replace(asked, events=OutputFormat.JSON)
    if asks:
        asked = replace(asked, approve=str(approval_file(asked.journal_path)))
    while not control.should_stop():
        child = _Child(asked, plan, control, say)
        code = child.run_to_end()
        executor_exit, count = ExecutorExit(code), control.resume_count()
        control.publish(executor_exit)
        if not executor_exit.may_resume or asked.dry_run:
            return code
        while not control.should_stop():
            goes_on = child.was_halted or control.resume_count() != count
            if goes_on and not control.should_pause():
                break
            time.sleep(LOOKS_S / 5)
        asked = replace(asked, resume=asked.journal_path.exists())
    return EXIT_CODES[Ended.INTERRUPTED]


class _Child:
    """One executor process, from its start to its end.

    Attributes:
        was_halted: Whether it was sent a signal to halt.
    """

    def __init__(
        self, asked: Execute, plan: Plan, control: ExecutorControl, say: Callable[[str], None]
    ) -> None:
        self._asked, self._plan, self._control, self._say = asked, plan, control, say
        self.was_halted = False
        self._signals_s: list[float] = []
        self._shown: tuple[int, float] | None = None
        self._journal: Journal | None = None

    def run_to_end(self) -> int:
        """Run the process; return its exit code."""
        # In this process's group: Ctrl-C at the terminal halts both, each in its own way.
        child = subprocess.Popen(
            list(executor_command(self._asked)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Its standard error is shown as what went wrong, which diagnostics are not.
            env={**os.environ, VARIABLE: "warning"},
        )
        _logger.info("started the executor, process %d", child.pid)
        try:
            self._follow(child)
            self._read_record()
            code = child.wait()
            _logger.info("the executor, process %d, ended with %d", child.pid, code)
            # An executor that gets the signal before it handles signals ends by the signal itself.
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
        """Handle its output, the journal and the person's requests until its output ends."""
        assert child.stdout is not None
        assert child.stderr is not None
        streams = {
            child.stdout.fileno(): (self._handle_output, bytearray()),
            child.stderr.fileno(): (self._handle_error, bytearray()),
        }
        next_look_s = 0.0
        with selectors.DefaultSelector() as selector:
            for number in streams:
                selector.register(number, selectors.EVENT_READ)
            while streams:
                for key, _ in selector.select(LOOKS_S):
                    handle, text = streams[key.fd]
                    data = os.read(key.fd, 65536)
                    text += data if data else b"\n"
                    for line in _take_lines(text):
                        handle(line)
                    if not data:
                        selector.unregister(key.fd)
                        del streams[key.fd]
                self._obey_control(child)
                begun_s = time.monotonic()
                if begun_s >= next_look_s:
                    self._read_record()
                    took_s = time.monotonic() - begun_s
                    next_look_s = begun_s + max(LOOKS_S, _REST * took_s)

    def _handle_output(self, line: str) -> None:
        """Pass on an event; a line that holds none is passed on as it is."""
        event = parse_event(line)
        if event is None:
            self._say(line)
        elif isinstance(event, WaitBegun) and event.what is Waiting.APPROVAL:
            assert event.wave is not None
            self._control.publish(ApprovalNeeded(event.wave))
        elif isinstance(event, Warned):
            self._control.publish(OutputLine(event.message, LineKind.WARNING))
        else:
            for words in lines_of(event):
                if is_warning(event):
                    self._control.publish(OutputLine(words, LineKind.WARNING))
                else:
                    self._say(words)

    def _handle_error(self, line: str) -> None:
        self._control.publish(OutputLine(line.removeprefix("executor: "), LineKind.ERROR))

    def _obey_control(self, child: subprocess.Popen[bytes]) -> None:
        """Send a signal when it must halt, and further ones when a given-up one takes too long."""
        if child.poll() is not None:
            return
        now_s = time.monotonic()
        if self._control.should_stop():
            patience_s = (0.0, FINISHES_WITHIN_S, DIES_WITHIN_S)
            count = len(self._signals_s)
            if count == 0 or now_s - self._signals_s[-1] >= patience_s[min(count, 2)]:
                child.send_signal(_STOP if count < 2 else signal.SIGKILL)
                self._signals_s.append(now_s)
            self.was_halted = True
        elif self._control.should_pause() and not self._signals_s:
            child.send_signal(_STOP)
            self._signals_s.append(now_s)
            self.was_halted = True

    def _read_record(self) -> None:
        """Pass on the record of the rollout, where there is one and it holds more than before.

        A journal without an event is none yet: the executor discards it when it refuses the fleet.
        """
        if self._asked.dry_run:
            return
        with suppress(RollcastError, sqlite3.Error, OSError):  # no journal yet, or no more
            if self._journal is None:
                self._journal = Journal.open(self._asked.journal_path)
            record = timeline(self._plan, self._journal)  # reads only what is new in the journal
            end_s = max((state["end_s"] for state in record["states"]), default=0)
            shown = (len(record["steps"]), end_s)
            if record["began_at"] is not None and shown != self._shown:
                self._shown = shown
                self._control.publish(RecordRead(record))
                done = sum(step["outcome"] == "done" for step in record["steps"])
                total = len(STEPS) * len(self._plan.instances)
                self._control.report_progress(
                    min(done, total), total
                )  # a step done again counts twice


def executor_command(asked: Execute) -> Iterator[str]:
    """Yield the words of the command that runs the executor with these arguments."""
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
    yield from ("--events", asked.events)


def _take_lines(text: bytearray) -> Iterator[str]:
    """Remove the complete lines from the front of what was read; yield those that are not blank."""
    while (end := text.find(b"\n")) >= 0:
        line = text[:end].decode(errors="replace").rstrip()
        del text[: end + 1]
        if line:
            yield line
