"""A rollout that is carried out from the studio, as its page sees it.

Enters: a plan, and where it is carried out. Leaves: signals for what happens, in the window's
thread. The work itself is a job: *Halt* lets it rest, *Resume* lets it go on, so that the dock
*Jobs* says the same.
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
from studio.rollouts import executor_process as carry_out
from studio.rollouts.executor_process import Awaits, Happened, Said, Stopped
from studio.rollouts.kept_rollouts import ScenarioKey, folder_of, key_of_plan
from studio.views.figures_text import Line, instances_text
from studio.views.rollout_text import counts_words, ended_line, of_forecast
from studio.views.spans import Span

if TYPE_CHECKING:
    from studio.lab.fleet import LabFleet
    from studio.lab.trial import Trial

_TOLD_EVERY_MS = 60

Where = Literal["dry", "lab", "inventory"]


class RolloutJob(QObject):
    """One rollout, from its start to its end.

    Attributes:
        plan: What is carried out.
        where: Where.
        forecast: The steps of a typical run.
        timeline: The record so far; None before there is any. With one from the beginning it is a
            rollout that was left unfinished.
        awaited: The wave that waits for an approval; None when none does.
        code: The exit code of the executor that ran last; None while one runs.
        trial: What the lab has measured; None before its end and elsewhere.
        lines: What has been said.
    """

    changed = Signal()
    """Something has happened, or been said, or it has ended."""

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
        self.lines: list[Said] = []
        self._approvals: Path | None = None
        self._job: Job | None = None
        self._soon = QTimer(self)  # lines come by the hundred; who looks on need not hear of each
        self._soon.setSingleShot(True)
        self._soon.setInterval(_TOLD_EVERY_MS)
        self._soon.timeout.connect(self.changed)

    def start_in_lab(self, scenario: Scenario, *, asks: bool) -> None:
        """Puts the fleet of a scenario up on this machine and carries the plan out on it."""

        def work(talk: JobContext) -> None:
            from studio.lab.trial import run_trial  # noqa: PLC0415 - read when it is needed

            def child(asked: Execute, say: Callable[[str], None]) -> int:
                talk.publish(carry_out.approvals_of(asked.journal_path))
                return carry_out.run_executor(asked, self.plan, talk, say, asks=asks)

            def watched(fleet: LabFleet) -> None:
                talk.publish(
                    Said(f"The fleet is up behind http://127.0.0.1:{fleet.port}; load runs")
                )

            count = instances_text(len(self.plan.instances))
            talk.publish(Said(f"Putting up {count} of {self.plan.service} and a balancer"))
            try:
                trial = run_trial(
                    self.plan,
                    scenario,
                    say=lambda line: talk.publish(Said(line)),
                    watched=watched,
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
        """Carries the plan out on a fleet, goes on with it, or says what would be done there."""
        dry_run, resumes = self.where == "dry", self.is_left

        def work(talk: JobContext) -> None:
            journal = Execute(
                plan=folder_of(self.plan) / "plan.json", inventory=inventory
            ).journal_path
            talk.publish(carry_out.approvals_of(journal))
            carry_out.on_inventory(
                self.plan, inventory, talk, asks=asks, dry_run=dry_run, resumes=resumes
            )

        self._run(f"{'Dry run' if dry_run else 'Rollout'}: {self.plan.name}", work)

    def _run(self, title: str, work: Callable[[JobContext], None]) -> None:
        self._job = self._jobs.run(title, work, self._on_landed)
        self._job.changed.connect(self.changed)
        self._job.ended.connect(self._on_ended)

    # How far it is

    @property
    def is_open(self) -> bool:
        """Whether its job is still to end."""
        return self._job is not None and self._job.is_open

    @property
    def key(self) -> ScenarioKey:
        """The scenario that it is of."""
        return key_of_plan(self.plan)

    @property
    def is_left(self) -> bool:
        """Whether an earlier studio began it, and nobody has gone on with it yet."""
        return self._job is None and self.timeline is not None

    @property
    def may_resume(self) -> bool:
        """Whether it stands still and can go on."""
        return self.is_halted or self.is_left

    @property
    def is_halting(self) -> bool:
        """Whether it was told to halt and has not yet."""
        return self.is_open and self._rests and self.code is None

    @property
    def is_halted(self) -> bool:
        """Whether it stands still and can go on."""
        return self.is_open and self.code is not None and Stopped(self.code).may_resume

    @property
    def is_settling(self) -> bool:
        """Whether the rollout is over and the lab still measures."""
        return self.is_open and self.code is not None and not self.is_halted

    @property
    def _rests(self) -> bool:
        return self._job is not None and self._job.state is JobState.PAUSED

    @property
    def was_given_up(self) -> bool:
        """Whether a person ended it before its end."""
        return self._job is not None and self._job.state is JobState.CANCELLED

    @property
    def went_wrong(self) -> str:
        """Why it could not be carried out; empty when it could."""
        return self._job.failure_text if self._job is not None else ""

    @property
    def has_record(self) -> bool:
        """Whether there is something to report."""
        return self.timeline is not None and self.code is not None

    @property
    def line(self) -> Line:
        """How far it is, as a sentence with its look."""
        if self.was_given_up:
            gone = "its fleet has ended" if self.where == "lab" else "left as it stands"
            return "bad", f"✗ Given up: {gone}"
        if self.code is not None and not self.is_halted:
            look, words = ended_line(self.code)
            if self.where == "dry" and self.code == 0:
                words = "✓ These are the actions; nothing was done"
            return look, words + ("; still measuring" if self.is_settling else "")
        if self.went_wrong:
            return "bad", f"✗ {self.went_wrong}"
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

    # What a person asks for

    def halt(self) -> None:
        """The steps in hand are finished, nothing else is begun."""
        if self._job is not None:
            self._job.pause(True)

    def resume(self) -> None:
        """Goes on where it stands."""
        if self._job is not None and self.is_open:
            self.code = None if self.is_halted else self.code
            self._job.pause(False)
            self.changed.emit()

    def approve(self) -> None:
        """Lets the awaited wave begin.

        Raises:
            BadInput: The approval cannot be written.
        """
        if self.awaited is not None and self._approvals is not None:
            carry_out.approve(self.plan, self._approvals, self.awaited)
            self.awaited = None
            self.changed.emit()

    def give_up(self) -> None:
        """Halts it for good: the steps in hand are finished if they can be soon."""
        self._soon.stop()
        if self._job is not None:
            self._job.cancel()

    # What comes of it

    def _on_landed(self, result: object) -> None:
        if isinstance(result, Said):
            self.lines.append(result)
        elif isinstance(result, Happened):
            self._take(result.timeline)
        elif isinstance(result, Awaits):
            self.awaited = result.wave
            self.lines.append(Said(f"Wave {result.wave} waits for an approval"))
        elif isinstance(result, Stopped):
            self._on_stopped(result)
        elif isinstance(result, Path):
            self._approvals = result
        else:
            self.trial = result  # type: ignore[assignment] # the only other thing that lands
            assert self.trial is not None
            self._take(self.trial.timeline)
        if not self._soon.isActive():
            self._soon.start()

    def _take(self, timeline: dict[str, Any]) -> None:
        self.timeline = timeline
        passed = sum(one["kind"] == "gate_passed" for one in timeline["events"])
        if self.awaited is not None and passed + 1 >= self.awaited:
            self.awaited = None

    def _on_stopped(self, stopped: Stopped) -> None:
        self.code, self.awaited = stopped.code, None
        if stopped.may_resume and self.where != "dry":
            self.halt()  # the job rests until somebody lets it go on

    def _on_ended(self) -> None:
        if self._job is not None and self._job.state is JobState.FAILED:
            self.lines.append(Said(self._job.failure_text, is_wrong=True))
        self._soon.stop()
        self.changed.emit()


def no_haproxy() -> str:
    """Why there can be no lab on this machine; empty when there can."""
    from studio.lab.haproxy import find_haproxy  # noqa: PLC0415 - read when it is needed

    return _said_by(find_haproxy)


def lab_refuses(scenario: Scenario) -> str:
    """Why the lab cannot put a scenario up; empty when it can."""
    from studio.lab.limits import refuse_unable  # noqa: PLC0415 - read when it is needed

    return _said_by(lambda: refuse_unable(scenario))


def _said_by(check: Callable[[], object]) -> str:
    try:
        check()
    except RollcastError as error:
        return str(error)
    return ""
