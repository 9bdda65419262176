"""The executor as a child: what it says is handed on, and it is told to stop in good order.

Small programs stand in for the executor, so that each can be as stubborn as the case needs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from executor.approval import ByFile
from executor.base.errors import BadInput
from executor.decide import Waiting
from executor.events import (
    BalancerNamed,
    RolloutChanged,
    RolloutEvent,
    WaitBegun,
    Warned,
    event_line,
)
from executor.execute import Execute
from executor.output import OutputFormat
from studio.rollouts import executor_process
from studio.rollouts.executor_process import (
    ApprovalNeeded,
    ExecutorExit,
    LineKind,
    OutputLine,
    executor_command,
    run_executor,
)
from tests.helpers.plans import example_plan

PATIENT = """
import signal, sys, time
got = []
signal.signal(signal.SIGTERM, lambda *_: got.append(1))
print("ready", flush=True)
while len(got) < {signals}:
    time.sleep(0.01)
print("stops", flush=True)
sys.exit(130)
"""
"""Stops once it has been told so often."""


@dataclass
class Hand:
    """Who holds the reins, and does something when something lands."""

    stops_at: str = ""
    rests_at: str = ""
    goes_on_at: str = ""
    landed: list[object] = field(default_factory=list)
    went_on: int = 0
    _stopped: bool = False
    _paused: bool = False

    def should_stop(self) -> bool:
        return self._stopped

    def should_pause(self) -> bool:
        return self._paused

    def publish(self, result: object) -> None:
        self.landed.append(result)
        words = result.line if isinstance(result, OutputLine) else type(result).__name__
        self._stopped |= words == self.stops_at
        if words == self.rests_at:
            self._paused = True
        if words == self.goes_on_at:
            self._paused = False
            self.went_on += 1

    def resume_count(self) -> int:
        return self.went_on

    def report_progress(self, done: int, total: int) -> None:
        raise AssertionError("there is no journal, and so nothing to tell")

    def said(self) -> list[str]:
        return [one.line for one in self.landed if isinstance(one, OutputLine)]


@pytest.fixture
def plan_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Execute:
    monkeypatch.setenv("ROLLCAST_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(executor_process, "LOOKS_S", 0.02)
    return Execute(plan=tmp_path / "plan.json", inventory=tmp_path / "inventory.yaml")


def programs(monkeypatch: pytest.MonkeyPatch, *sources: str) -> list[Execute]:
    """Has these programs run in place of the executor, one after the other; what was asked of each."""
    asked: list[Execute] = []
    left = iter(sources)

    def command(one: Execute) -> Iterator[str]:
        asked.append(one)
        yield from (sys.executable, "-c", next(left))

    monkeypatch.setattr(executor_process, "executor_command", command)
    return asked


def run(asked: Execute, hand: Hand, **said: bool) -> int:
    return run_executor(
        asked, example_plan(), hand, lambda line: hand.publish(OutputLine(line)), **said
    )


def test_its_events_are_passed_on_in_words_and_other_lines_as_they_are(
    plan_file: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[RolloutEvent] = [
        BalancerNamed(balancer="x"),
        Warned(message="hm"),
        WaitBegun(what=Waiting.APPROVAL, wave=2, approve_by="file", approval_line="wave 2 abc"),
        WaitBegun(what=Waiting.PAUSE),
        RolloutChanged(t_s=0.0, change="begun"),
    ]
    lines = "\n\n".join(["one", *map(event_line, events), "  no end"])
    programs(
        monkeypatch,
        f"import sys; sys.stdout.write({lines!r}); sys.stderr.write('executor: oh\\n'); sys.exit(3)",
    )
    hand = Hand()
    assert run(plan_file, hand) == 3
    error = OutputLine("oh", LineKind.ERROR)
    assert error in hand.landed
    assert [result for result in hand.landed if result != error] == [
        OutputLine("one"),
        OutputLine("only x is told and watched"),
        OutputLine("hm", LineKind.WARNING),
        ApprovalNeeded(2),
        OutputLine("            waiting for the pause after the instance before"),
        OutputLine("  no end"),
        ExecutorExit(3),
    ]


def test_its_diagnostics_are_not_shown_as_what_went_wrong(
    plan_file: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLCAST_LOG", "debug")
    programs(monkeypatch, "import os; print(os.environ['ROLLCAST_LOG'])")
    hand = Hand()
    assert run(plan_file, hand) == 0
    assert hand.said() == ["warning"]


@pytest.mark.parametrize(
    ("code", "may_resume"),
    [
        (0, False),
        (2, False),
        (3, False),
        (4, True),
        (5, False),
        (130, True),
        (-9, True),
        (1, False),
    ],
)
def test_which_end_can_be_gone_on_from(code: int, may_resume: bool) -> None:
    assert ExecutorExit(code).may_resume is may_resume


def test_resting_halts_it_with_one_signal_and_going_on_resumes(
    plan_file: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = programs(monkeypatch, PATIENT.format(signals=1), "print('again')")
    plan_file.journal_path.touch()
    hand = Hand(rests_at="ready", goes_on_at="ExecutorExit")
    assert run(plan_file, hand) == 0
    assert hand.said() == ["ready", "stops", "again"]
    assert [one for one in hand.landed if isinstance(one, ExecutorExit)] == [
        ExecutorExit(130),
        ExecutorExit(0),
    ]
    assert [one.resume for one in asked] == [False, True]
    assert {one.events for one in asked} == {OutputFormat.JSON}


def test_one_that_ignores_interrupts_before_it_listens_is_halted(
    plan_file: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a child of a studio that a script started in the background: SIGINT would be lost."""
    ignoring = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); "
        "print('ready', flush=True); time.sleep(60)"
    )
    programs(monkeypatch, ignoring, "print('again')")
    plan_file.journal_path.touch()
    hand = Hand(rests_at="ready", goes_on_at="ExecutorExit")
    begun_s = time.monotonic()
    assert run(plan_file, hand) == 0
    assert time.monotonic() - begun_s < 30
    assert hand.said() == ["ready", "again"]


def test_who_halts_before_a_journal_is_there_begins_anew(
    plan_file: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = programs(monkeypatch, PATIENT.format(signals=1), "print('again')")
    assert run(plan_file, Hand(rests_at="ready", goes_on_at="ExecutorExit")) == 0
    assert [one.resume for one in asked] == [False, False]


def test_one_that_halted_by_itself_waits_until_it_has_rested(
    plan_file: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = programs(monkeypatch, "raise SystemExit(4)", "print('again')")
    plan_file.journal_path.touch()

    class Slow(Hand):
        """Is let go on after a while, without ever having been seen to rest."""

        looks = 0

        def resume_count(self) -> int:
            self.looks += 1
            return self.looks > 8

    hand = Slow()
    assert run(plan_file, hand) == 0
    assert hand.looks > 8
    assert [one.resume for one in asked] == [False, True]


@pytest.mark.parametrize(("signals", "code"), [(1, 130), (2, 130)])
def test_giving_up_halts_it_and_insists(
    plan_file: Execute, monkeypatch: pytest.MonkeyPatch, signals: int, code: int
) -> None:
    programs(monkeypatch, PATIENT.format(signals=signals))
    monkeypatch.setattr(executor_process, "FINISHES_WITHIN_S", 0.05)
    hand = Hand(stops_at="ready")
    assert run(plan_file, hand) == code
    assert hand.said() == ["ready", "stops"]


def test_one_that_will_not_stop_is_killed(
    plan_file: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs(monkeypatch, PATIENT.format(signals=99))
    monkeypatch.setattr(executor_process, "FINISHES_WITHIN_S", 0.05)
    monkeypatch.setattr(executor_process, "DIES_WITHIN_S", 0.05)
    hand = Hand(stops_at="ready")
    assert run(plan_file, hand) == 130
    assert hand.landed[-1] == ExecutorExit(130)


def test_one_that_is_told_before_it_listens_is_interrupted_all_the_same(
    plan_file: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_DFL); print('ready', flush=True); time.sleep(60)"
    programs(monkeypatch, deaf)
    hand = Hand(stops_at="ready")
    assert run(plan_file, hand) == 130


def test_a_hand_that_has_let_go_starts_nothing(
    plan_file: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = programs(monkeypatch)
    hand = Hand()
    hand._stopped = True
    assert run(plan_file, hand) == 130
    assert (asked, hand.landed) == ([], [])


def test_an_error_in_who_is_told_leaves_no_process(
    plan_file: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs(monkeypatch, "import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    said: list[int] = []

    def say(line: str) -> None:
        said.append(int(line))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run_executor(plan_file, example_plan(), Hand(), say)
    assert not Path(f"/proc/{said[0]}").exists()


def test_the_command_is_the_executors() -> None:
    asked = Execute(
        plan=Path("a/plan.json"),
        inventory=Path("i.yaml"),
        dry_run=True,
        resume=True,
        approve="f",
        journal=Path("j"),
    )
    assert list(executor_command(asked))[1:] == [
        *("-P", "-m", "executor", "execute", "a/plan.json", "--inventory", "i.yaml"),
        *("--dry-run", "--resume", "--journal", "j", "--approve", "f", "--events", "text"),
    ]
    from executor.__main__ import _parser

    _parser().parse_args(list(executor_command(asked))[4:])


def test_a_wave_is_approved_in_the_words_that_the_executor_reads(tmp_path: Path) -> None:
    plan, file = example_plan(), tmp_path / "approved"
    reader = ByFile(file, plan.digest)
    assert reader.of(2) == "awaited"
    executor_process.approve(plan, file, 2)
    executor_process.approve(plan, file, 3)
    assert [reader.of(wave) for wave in (2, 3, 4)] == ["given", "given", "awaited"]
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(BadInput, match="cannot be written"):
        executor_process.approve(plan, tmp_path / "no" / "file", 2)


def test_a_journal_without_an_event_is_no_record(
    plan_file: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The executor discards such a journal when it refuses the fleet."""
    programs(
        monkeypatch,
        "from executor.records.journal import Journal; from pathlib import Path; import sys;"
        f"Journal.begin(Path({str(plan_file.journal_path)!r}), {{'service': 'checkout'}}); sys.exit(3)",
    )
    hand = Hand()
    assert run(plan_file, hand) == 3
    assert plan_file.journal_path.exists()
    assert [type(result) for result in hand.landed] == [ExecutorExit]
