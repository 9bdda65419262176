"""A rollout that is carried out from the studio, as its page shows it.

Its signals come in the window's thread. The work is a job: *Halt* pauses it and *Resume* lets it go on, so the
dock *Jobs* shows the same state.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from PySide6.QtCore import QObject, QTimer, Signal

from executor.base.errors import RollcastError
from executor.execute import Execute
from executor.plan.model import Plan
from simulation.scenario.model import Scenario
from studio.gui.background.job import Job, JobContext, JobState
from studio.gui.background.jobs import Jobs
from studio.rollouts import executor_process
from studio.rollouts.executor_process import (
    ApprovalNeeded,
    ExecutorExit,
    LineKind,
    OutputLine,
    RecordRead,
)
from studio.rollouts.kept_rollouts import ScenarioKey, folder_of, key_of_plan
from studio.views.figures_text import Line, instances_text
from studio.views.rollout_text import counts_words, ended_line, of_forecast
from studio.views.spans import Span

if TYPE_CHECKING:
    from studio.lab.fleet import LabFleet
    from studio.lab.trial import Trial

_CHANGED_EVERY_MS = 60
"""Minimum time between two `changed` signals for what the executor reports, in milliseconds."""

Where = Literal["dry", "lab", "inventory"]


class RolloutJob(QObject):
    """One rollout, from its start to its end.

    Attributes:
        plan: The plan.
        where: The fleet: one in the lab, that of an inventory, or none for a dry run.
        forecast: The steps of a typical run.
        timeline: The record so far; None before there is any. A rollout that is made with a record
            was left unfinished.
        awaited: The wave that waits for an approval; None when none does.
        code: The exit code of the executor that ran last; None while one runs.
        trial: What the lab has measured; None before its end and outside the lab.
        lines: The lines that were printed.
    """

    changed = Signal()
    """Something has happened or was printed, or the rollout has ended."""

    def __init__(
        self,
        jobs: Jobs,
        plan: Plan,
        where: Where,
        forecast: tuple[Span, ...] = (),
        timeline: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(jobs)
        self._jobs = jobs
        self.plan, self.where, self.forecast, self.timeline = plan, where, forecast, timeline
        self.awaited: int | None = None
        self.code: int | None = None
        self.trial: Trial | None = None
        self.lines: list[OutputLine] = []
        self._approvals: Path | None = None
        self._job: Job | None = None
        self._soon = QTimer(self)  # lines come by the hundred: one signal for many
        self._soon.setSingleShot(True)
        self._soon.setInterval(_CHANGED_EVERY_MS)
        self._soon.timeout.connect(self.changed)

    def start_in_lab(self, scenario: Scenario, *, asks: bool) -> None:
        """Start the fleet of a scenario on this machine and carry the plan out on it."""

        def work(talk: JobContext) -> None:
            from studio.lab.trial import run_trial  # noqa: PLC0415 - read when it is needed

            def child(asked: Execute, say: Callable[[str], None]) -> int:
                talk.publish(executor_process.approval_file(asked.journal_path))
                return executor_process.run_executor(asked, self.plan, talk, say, asks=asks)

            def report_fleet(fleet: LabFleet) -> None:
                address = f"http://127.0.0.1:{fleet.port}"
                talk.publish(OutputLine(f"The fleet is up behind {address}; load runs"))

            count = instances_text(len(self.plan.instances))
            talk.publish(OutputLine(f"Putting up {count} of {self.plan.service} and a balancer"))
            try:
                trial = run_trial(
                    self.plan,
                    scenario,
                    say=lambda line: talk.publish(OutputLine(line)),
                    watched=report_fleet,
                    carry_out=child,
                    stopped=talk.should_stop,
                )
            except KeyboardInterrupt:  # given up; everything has ended
                return
            except RollcastError:
                if not talk.should_stop():
                    raise
            else:
                talk.publish(trial)

        self._run(f"Lab: {self.plan.name}", work)

    def start_on(self, inventory: Path, *, asks: bool = False) -> None:
        """Carry the plan out on the fleet of an inventory, go on with it, or do a dry run."""
        dry_run, resumes = self.where == "dry", self.is_left

        def work(talk: JobContext) -> None:
            journal = Execute(
                plan=folder_of(self.plan) / "plan.json", inventory=inventory
            ).journal_path
            talk.publish(executor_process.approval_file(journal))
            executor_process.run_on_inventory(
                self.plan, inventory, talk, asks=asks, dry_run=dry_run, resumes=resumes
            )

        self._run(f"{'Dry run' if dry_run else 'Rollout'}: {self.plan.name}", work)

    def _run(self, title: str, work: Callable[[JobContext], None]) -> None:
        self._job = self._jobs.run(title, work, self._on_landed)
        self._job.changed.connect(self.changed)
        self._job.ended.connect(self._on_ended)

    # Its state

    @property
    def is_open(self) -> bool:
        """Return whether its job has not ended yet."""
        return self._job is not None and self._job.is_open

    @property
    def key(self) -> ScenarioKey:
        """The key of the scenario that its plan was made for."""
        return key_of_plan(self.plan)

    @property
    def is_left(self) -> bool:
        """Return whether an earlier studio began it, and it was not resumed yet."""
        return self._job is None and self.timeline is not None

    @property
    def may_resume(self) -> bool:
        """Return whether it can go on: it is halted, or was left unfinished."""
        return self.is_halted or self.is_left

    @property
    def is_halting(self) -> bool:
        """Return whether it was asked to halt and still finishes the steps that run."""
        return self.is_open and self._is_paused and self.code is None

    @property
    def is_halted(self) -> bool:
        """Return whether its executor has ended and can resume."""
        return self.is_open and self.code is not None and ExecutorExit(self.code).may_resume

    @property
    def is_settling(self) -> bool:
        """Return whether the rollout is over and the lab still measures."""
        return self.is_open and self.code is not None and not self.is_halted

    @property
    def _is_paused(self) -> bool:
        return self._job is not None and self._job.state is JobState.PAUSED

    @property
    def was_given_up(self) -> bool:
        """Return whether a person ended it before its end."""
        return self._job is not None and self._job.state is JobState.CANCELLED

    @property
    def failure_text(self) -> str:
        """Why it could not be carried out; empty when it could."""
        return self._job.failure_text if self._job is not None else ""

    @property
    def has_record(self) -> bool:
        """Return whether there is something to report."""
        return self.timeline is not None and self.code is not None

    @property
    def line(self) -> Line:
        """Its state as a sentence, with the sentence's look."""
        if self.was_given_up:
            fleet = "its fleet has ended" if self.where == "lab" else "left as it stands"
            return "bad", f"✗ Given up: {fleet}"
        if self.code is not None and not self.is_halted:
            look, words = ended_line(self.code)
            if self.where == "dry" and self.code == 0:
                words = "✓ These are the actions; nothing was done"
            return look, words + ("; still measuring" if self.is_settling else "")
        if self.failure_text:
            return "bad", f"✗ {self.failure_text}"
        counts = counts_words(self.timeline)
        if self.may_resume:
            reason = (self.timeline or {}).get("reason") or ""
            _, words = ("", "✗ Left unfinished") if self.code is None else ended_line(self.code)
            return "bad", f"{words}{f': {reason}' if reason else ''} · {counts}"
        if self.is_halting:
            return "heading", f"Halting: the steps in hand are finished · {counts}"
        if self.awaited is not None:
            return "heading", f"Wave {self.awaited} waits for your approval · {counts}"
        return "heading", f"{counts}{of_forecast(self.plan)}"

    # What a person does

    def halt(self) -> None:
        """Finish the steps that run and begin no other."""
        if self._job is not None:
            self._job.pause(True)

    def resume(self) -> None:
        """Go on where it halted."""
        if self._job is not None and self.is_open:
            self.code = None if self.is_halted else self.code
            self._job.pause(False)
            self.changed.emit()

    def approve(self) -> None:
        """Approve the awaited wave.

        Raises:
            BadInput: The approval cannot be written.
        """
        if self.awaited is not None and self._approvals is not None:
            executor_process.approve(self.plan, self._approvals, self.awaited)
            self.awaited = None
            self.changed.emit()

    def give_up(self) -> None:
        """Halt it for good; the steps that run have a short time to finish."""
        self._soon.stop()
        if self._job is not None:
            self._job.cancel()

    # What its job reports

    def _on_landed(self, result: object) -> None:
        if isinstance(result, OutputLine):
            self.lines.append(result)
        elif isinstance(result, RecordRead):
            self._set_timeline(result.timeline)
        elif isinstance(result, ApprovalNeeded):
            self.awaited = result.wave
            self.lines.append(OutputLine(f"Wave {result.wave} waits for an approval"))
        elif isinstance(result, ExecutorExit):
            self._on_exit(result)
        elif isinstance(result, Path):
            self._approvals = result
        else:
            self.trial = result  # type: ignore[assignment] # the only other thing that lands
            assert self.trial is not None
            self._set_timeline(self.trial.timeline)
        if not self._soon.isActive():
            self._soon.start()

    def _set_timeline(self, timeline: dict[str, Any]) -> None:
        self.timeline = timeline
        passed = sum(event["kind"] == "gate_passed" for event in timeline["events"])
        if self.awaited is not None and passed + 1 >= self.awaited:
            self.awaited = None

    def _on_exit(self, executor_exit: ExecutorExit) -> None:
        self.code, self.awaited = executor_exit.code, None
        if executor_exit.may_resume and self.where != "dry":
            self.halt()  # the job is paused until a person resumes it

    def _on_ended(self) -> None:
        if self._job is not None and self._job.state is JobState.FAILED:
            self.lines.append(OutputLine(self._job.failure_text, LineKind.ERROR))
        self._soon.stop()
        self.changed.emit()


def no_haproxy() -> str:
    """Return why there can be no lab on this machine; empty when there can be one."""
    from studio.lab.haproxy import find_haproxy  # noqa: PLC0415 - read when it is needed

    return _error_text(find_haproxy)


def lab_refuses(scenario: Scenario) -> str:
    """Return why the lab cannot put up the fleet of a scenario; empty when it can."""
    from studio.lab.limits import refuse_unable  # noqa: PLC0415 - read when it is needed

    return _error_text(lambda: refuse_unable(scenario))


def _error_text(check: Callable[[], object]) -> str:
    """Return the message of the error that a check raises; empty when it raises none."""
    try:
        check()
    except RollcastError as error:
        return str(error)
    return ""
