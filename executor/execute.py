"""``execute``: carry a plan out on the fleet of an inventory, from the first check to the exit code.

A rollout leaves a journal, a timeline and the events of `executor.events`. Problems that are found
before anything is touched are `BadInput` or `Refused`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shlex
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from executor.approval import ByFile, ByTerminal
from executor.base.canonical_json import digest_of
from executor.base.errors import BadInput, Refused, RollcastError, describe_unexpected
from executor.base.files import atomic_write_text
from executor.base.signals import INTERRUPTED, StopRequests
from executor.dry_run import remaining_actions
from executor.ends import Outcome
from executor.events import (
    ActionPlanned,
    BalancerNamed,
    ErrorReported,
    JournalFailed,
    NothingTouched,
    RolloutEnded,
    RolloutStarted,
    StopRequested,
    TrafficCheckBegun,
    TrafficMeasured,
    Warned,
)
from executor.fleet.balancers.base import BalancerError
from executor.fleet.connect import connect, fleet_key
from executor.fleet.fleet_client import FleetClient
from executor.fleet.inventory import Inventory, read_inventory
from executor.guards import unwatched_guards
from executor.output import OutputFormat, show
from executor.output import say as say_line
from executor.plan.file import read_plan
from executor.plan.model import Plan
from executor.plan.rules import broken_rules, refuse_other_tools
from executor.preflight import FleetCheck, check_fleet, check_inventory, problems_in
from executor.progress import Ended, Event, EventKind, Progress, replay_events
from executor.records.journal import Journal, JournalBroken
from executor.records.lock import Lock, lock_path
from executor.records.timeline import timeline
from executor.run import RolloutRun
from executor.statement import FleetStatement
from executor.tell import (
    Report,
    ReportingWatcher,
    report_json,
    report_text,
    start_lines,
    traffic_text,
)
from executor.traffic import MEASURED_S, TrafficAnswer, measure_traffic

_logger = logging.getLogger(__name__)

EXIT_CODES = {Ended.DONE: 0, Ended.HALTED: 4, Ended.ROLLED_BACK: 5, Ended.INTERRUPTED: INTERRUPTED}


@dataclass(frozen=True)
class Execute:
    """The arguments of one execution.

    Attributes:
        plan: The plan file.
        inventory: The inventory file.
        dry_run: Whether to say what would be done, and do nothing.
        resume: Whether to go on with a rollout that was begun.
        take_over: Whether to take the lock of an executor that died.
        trust: Public keys; those of the inventory are added.
        approve: ``terminal`` or a file; None where waves need no approval.
        journal: The journal; None for the one beside the plan.
        quiet: Whether to say only warnings, questions and how the rollout ended.
        events: Whether standard output is text or a JSON object a line.
        program: The command by which the program was called, for the command that resumes.
    """

    plan: Path
    inventory: Path
    dry_run: bool = False
    resume: bool = False
    take_over: bool = False
    trust: tuple[Path, ...] = ()
    approve: str | None = None
    journal: Path | None = None
    quiet: bool = False
    events: OutputFormat = OutputFormat.TEXT
    program: tuple[str, ...] = field(default=("python", "-m", "executor"))

    @property
    def journal_path(self) -> Path:
        """The journal's path: ``plan.journal`` beside ``plan.json`` unless another is given."""
        return self.journal or self.plan.with_suffix(".journal")

    @property
    def timeline_path(self) -> Path:
        """The timeline's path: beside the journal."""
        return self.journal_path.with_suffix(".timeline.json")

    def resume_command(self) -> str:
        """Return the shell command that goes on where this execution stops."""
        words = [*self.program, "execute", str(self.plan), "--inventory", str(self.inventory)]
        for key in self.trust:
            words += ["--trust", str(key)]
        if self.approve is not None:
            words += ["--approve", self.approve]
        if self.journal is not None:
            words += ["--journal", str(self.journal)]
        return shlex.join([*words, "--resume"])

    def report_to(self, say: Callable[[str], None]) -> Report:
        """Return the report that says events in the format that was asked for."""
        make = report_json if self.events is OutputFormat.JSON else report_text
        return make(say, is_quiet=self.quiet)


def execute(asked: Execute, say: Callable[[str], None] = say_line) -> int:
    """Carry a plan out; return the exit code.

    Args:
        asked: The arguments.
        say: Is called with each line of standard output. It must neither raise nor wait, since
            that would end a rollout halfway or hold it up.

    Raises:
        BadInput: The plan, the inventory or the options are wrong.
        Refused: A check failed; nothing was touched.
        JournalBroken: The journal could not be written; the steps that ran were finished.
    """
    report = asked.report_to(show if asked.dry_run else say)
    try:
        plan = read_plan(asked.plan)
        execution = _Execution(asked, plan, read_inventory(asked.inventory), report)
        _logger.info("read %s (%s) and %s", asked.plan, plan.digest[:12], asked.inventory)
        execution.refuse()
        execution.warn_of_readers()
        if asked.dry_run:
            return asyncio.run(execution.dry_run())
        with StopRequests(on_stop=_do_nothing) as requests:
            return execution.carry_out(requests)
    except RollcastError as error:
        report(ErrorReported(message=str(error), exit_code=error.exit_code))
        raise


def look_at(plan: Plan, inventory: Inventory) -> FleetCheck:
    """Make every check of a plan against a fleet as it is now; change nothing.

    Raises:
        BadInput: A secret, a key or a library is missing.
    """

    async def look() -> FleetCheck:
        client = connect(inventory, plan)
        try:
            fleet_look = await check_fleet(plan, inventory, client, resumed=None)
        finally:
            problem = await _close(client)
        return FleetCheck(fleet_look.checks, [*fleet_look.warnings, *problem])

    checks = check_inventory(plan, inventory)
    if problems_in(checks):
        return FleetCheck(checks, [])
    fleet_look = asyncio.run(look())
    return FleetCheck([*checks, *fleet_look.checks], fleet_look.warnings)


@dataclass
class _Ending:
    """The facts of a rollout that are known when it ends, whatever ends it.

    Attributes:
        outcome: How it ended.
        fleet: How the fleet is then.
        is_begun: Whether its journal holds an event.
        timeline: The timeline's path; None when there is none.
        timeline_problem: Why there is no timeline.
    """

    outcome: Outcome = field(default_factory=lambda: Outcome(Ended.INTERRUPTED, "stopped at once"))
    fleet: FleetStatement = field(default_factory=FleetStatement)
    is_begun: bool = False
    timeline: Path | None = None
    timeline_problem: str = ""


@dataclass(frozen=True)
class _Execution:
    """One plan, the fleet of one inventory, and where events are reported."""

    asked: Execute
    plan: Plan
    inventory: Inventory
    report: Report

    def warn(self, message: str) -> None:
        """Report something that a person should know."""
        self.report(Warned(message=message))

    def refuse(self) -> None:
        """Make the checks that need no look at the fleet.

        Raises:
            Refused: A rule is broken, no trusted key signed the plan, or it is another fleet's.
        """
        refuse_other_tools(self.plan)
        # Half a rollout is worse than a late one: what was begun in time may be finished.
        now = None if self.asked.resume else datetime.now(UTC)
        rules = broken_rules(self.plan, now)
        for broken in (
            *rules,
            *problems_in(check_inventory(self.plan, self.inventory, self.asked.trust)),
        ):
            raise Refused(f"{self.asked.plan}: {broken}")

    def warn_of_readers(self) -> None:
        """Warn when users other than the owner can read the plan."""
        path = self.asked.plan
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            self.warn(f"{path}: mode ({mode:04o}) should be 0600: others can read the plan")

    async def dry_run(self) -> int:
        """Report what would be done; return the exit code.

        Raises:
            Refused: A check of the fleet failed.
        """
        events: list[Event] = []
        if self.asked.resume:
            with closing(self._open_journal()) as journal:
                events = journal.events()
        progress = replay_events([*events, Event(0.0, EventKind.RESUMED)] if events else [])
        client = connect(self.inventory, self.plan)
        try:
            resumed = progress if events else None
            look = await check_fleet(self.plan, self.inventory, client, resumed=resumed)
        finally:
            for problem in await _close(client):
                self.warn(problem)
        for warning in look.warnings:
            self.warn(warning)
        self.report(BalancerNamed(balancer=client.balancer.place()))
        for line in start_lines(self.plan):
            self.report(ActionPlanned(message=line))
        if self.plan.traffic is not None and not events:
            line = f"requests are counted for {MEASURED_S:g} s before the first wave"
            self.report(ActionPlanned(message=line))
        for line in remaining_actions(self.plan, self.inventory, client, progress):
            self.report(ActionPlanned(message=line))
        if problems := problems_in(look.checks):
            raise Refused(f"{self.asked.plan}: would be refused: {'; '.join(problems)}")
        return 0

    def carry_out(self, requests: StopRequests) -> int:
        """Carry the plan out under its fleet's lock; return the exit code.

        Raises:
            RollcastError: As `execute`.
        """
        asked, ending = self.asked, _Ending()
        path = lock_path(fleet_key(self.inventory))
        lock = Lock.take(path, asked.journal_path, take_over=asked.take_over)
        give_up = lock.put_back
        try:
            journal = self._open_journal() if asked.resume else self._begin_journal()
            _logger.info("opened %s", asked.journal_path)
            give_up = lock.leave  # whatever ends the rollout: it may be left unfinished
            try:
                with suppress(asyncio.CancelledError):  # a second request stops at once
                    asyncio.run(self._roll(journal, lock, requests, ending))
                    give_up = lock.release
            finally:
                requests.on_stop = _do_nothing  # the rollout has ended; the rest is short
                self._close_journal(journal, ending)
                if not ending.is_begun:
                    give_up = lock.put_back
            if not ending.is_begun:  # a request came before the first step
                raise KeyboardInterrupt
        except JournalBroken:
            self.report(
                JournalFailed(
                    fleet=ending.fleet,
                    timeline=_text(ending.timeline),
                    timeline_problem=ending.timeline_problem,
                    resume_command=asked.resume_command(),
                )
            )
            raise
        except RollcastError:
            raise
        except KeyboardInterrupt:
            if not ending.is_begun:
                self.report(NothingTouched())
            raise
        except Exception as error:
            why = describe_unexpected(error)
            if not ending.is_begun:
                raise Refused(f"{asked.plan}: nothing was touched: {why}") from None
            ending.outcome = Outcome(Ended.HALTED, why)
        finally:
            give_up()
        return self._report_end(ending)

    def _report_end(self, ending: _Ending) -> int:
        """Report how the rollout ended; return the exit code."""
        outcome = ending.outcome
        exit_code = EXIT_CODES[outcome.ended]
        is_over = outcome.ended in {Ended.DONE, Ended.ROLLED_BACK}
        self.report(
            RolloutEnded(
                ended=outcome.ended,
                exit_code=exit_code,
                message=outcome.why,
                given_up=dict(outcome.given_up),
                fleet=ending.fleet,
                timeline=_text(ending.timeline),
                timeline_problem=ending.timeline_problem,
                resume_command=None if is_over else self.asked.resume_command(),
            )
        )
        return exit_code

    async def _roll(
        self, journal: Journal, lock: Lock, requests: StopRequests, ending: _Ending
    ) -> None:
        """Check the fleet, then run the rollout to its end; `ending` takes how it ended."""
        _cancel_on_request(requests)
        client = connect(self.inventory, self.plan)
        try:
            events = journal.events() if self.asked.resume else []
            await self._check_fleet(client, replay_events(events) if events else None)
            if not events:
                await self._check_traffic(client)
            self._report_start(client)
            approval = self._approval()
            run = RolloutRun(
                self.plan,
                self.inventory.versions,
                client,
                journal,
                approval=approval,
                watcher=ReportingWatcher(self.report, approval),
                beat=lock.beat,
            )
            try:
                ending.outcome = await self._run_until_ended(run, requests)
            finally:
                ending.fleet = await run.state_fleet()
        finally:
            for problem in await _close(client):
                self.warn(problem)

    async def _check_fleet(self, client: FleetClient, progress: Progress | None) -> None:
        """Check the fleet before anything is touched.

        Raises:
            Refused: A check failed.
        """
        look = await check_fleet(self.plan, self.inventory, client, resumed=progress)
        for warning in (*look.warnings, *unwatched_guards(self.plan)):
            self.warn(warning)
        for promise, problems in look.checks:
            _logger.info("%s: %s", promise, "; ".join(problems) or "holds")
        if problems := problems_in(look.checks):
            raise Refused(f"{self.asked.plan}: nothing was touched: {'; '.join(problems)}")

    async def _check_traffic(self, client: FleetClient) -> None:
        """Measure the traffic and hold it against the plan's range, where the plan has one.

        Raises:
            Refused: More arrives than in any run of the plan's simulation.
        """
        expected = self.plan.traffic
        if expected is None:
            return
        self.report(TrafficCheckBegun(over_s=MEASURED_S))
        try:
            reading = await measure_traffic(client, expected, MEASURED_S)
        except BalancerError as error:
            raise Refused(f"{self.asked.plan}: nothing was touched: {error}") from None
        measured = TrafficMeasured(
            answer=reading.answer,
            rate_rps=reading.rate_rps,
            low_rps=expected.low_rps,
            high_rps=expected.high_rps,
            highest_rps=expected.highest_rps,
        )
        if reading.answer is TrafficAnswer.ABOVE:
            raise Refused(f"{self.asked.plan}: nothing was touched: {traffic_text(measured)}")
        self.report(measured)

    def _report_start(self, client: FleetClient) -> None:
        self.report(
            RolloutStarted(
                plan=self.plan.name,
                plan_digest=self.plan.digest,
                service=self.plan.service,
                instances=self.plan.instances,
                waves_count=len(self.plan.waves),
                is_resumed=self.asked.resume,
                journal=str(self.asked.journal_path),
                began_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            )
        )
        self.report(BalancerNamed(balancer=client.balancer.place()))

    async def _run_until_ended(self, run: RolloutRun, requests: StopRequests) -> Outcome:
        """Run to the end; at the first request to stop finish the steps that run, at the second none."""
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(run.to_its_end())
        was_requested = False

        def stop() -> None:
            nonlocal was_requested
            if was_requested:
                run.stop_at_once()
                task.cancel()
            else:
                was_requested = True
                self.report(StopRequested())
                run.stop()

        def wake_to_stop() -> None:
            loop.call_soon_threadsafe(stop)

        requests.on_stop = wake_to_stop
        try:
            return await task
        finally:
            requests.on_stop = _do_nothing

    def _approval(self) -> ByFile | ByTerminal | None:
        if self.asked.approve is None:
            return None
        if self.asked.approve != "terminal":
            return ByFile(Path(self.asked.approve), self.plan.digest)
        try:
            return ByTerminal()
        except (OSError, ValueError):
            raise BadInput("--approve terminal: there is no terminal to answer on") from None

    # the journal

    def _begin_journal(self) -> Journal:
        """Begin a new journal.

        Raises:
            Refused: There is one already.
        """
        about = {
            "plan_digest": self.plan.digest,
            "service": self.plan.service,
            "old_version": self.inventory.versions.old,
            "new_version": self.inventory.versions.new,
            "inventory": str(self.asked.inventory.resolve()),
            "inventory_digest": self._inventory_digest(),
        }
        return Journal.begin(self.asked.journal_path, about)

    def _open_journal(self) -> Journal:
        """Open the journal to go on with; for a dry run only to read it.

        Raises:
            Refused: There is none, or it belongs to another plan or other versions.
        """
        path, versions = self.asked.journal_path, self.inventory.versions
        journal = Journal.open(path, only_to_read=self.asked.dry_run)
        about = journal.about()
        problem = None
        if about["plan_digest"] != self.plan.digest:
            problem = "is of another plan"
        elif (about["old_version"], about["new_version"]) != (versions.old, versions.new):
            problem = "is of other versions than the inventory's"
        elif replay_events(journal.events()).ended is Ended.ROLLED_BACK:
            problem = "says that the rollout was rolled back: a new one needs a new journal"
        if problem is not None:
            journal.close()
            raise Refused(f"{path}: {problem}")
        if about.get("inventory_digest") != self._inventory_digest():
            self.warn(
                f"{self.asked.inventory}: was changed since the rollout began, and counts as it is now"
            )
        return journal

    def _close_journal(self, journal: Journal, ending: _Ending) -> None:
        """Write the timeline and close the journal; discard a journal in which nothing was begun.

        A timeline that cannot be written, as on a full disk, must not hide what happened before.
        """
        try:
            if not journal.events():  # the rollout was refused by a look at the fleet
                journal.discard()
                return
            ending.is_begun = True
            _logger.info("writing %s", self.asked.timeline_path)
            text = json.dumps(timeline(self.plan, journal), indent=1, ensure_ascii=False)
            atomic_write_text(self.asked.timeline_path, text + "\n", mode=0o600)
            ending.timeline = self.asked.timeline_path
        except Exception as error:
            ending.is_begun = True
            is_known = isinstance(error, RollcastError)
            ending.timeline_problem = str(error) if is_known else describe_unexpected(error)
        journal.close()

    def _inventory_digest(self) -> str:
        return digest_of(self.inventory.model_dump(mode="json"))


def _do_nothing() -> None:
    """Leave a request to stop to who looks at `StopRequests.was_requested`.

    An exception that a signal handler raises could leave half a journal, or reach the event loop
    or a finalizer, which discards it.
    """


def _cancel_on_request(requests: StopRequests) -> None:
    """Let a request to stop cancel the present task at its next wait, also one made before."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    requests.on_stop = partial(loop.call_soon_threadsafe, task.cancel)
    if requests.was_requested:
        task.cancel()


async def _close(client: FleetClient) -> list[str]:
    """Close the connections to the machines; return what went wrong, which changes no outcome."""
    try:
        await client.close()
    except Exception as error:
        return [f"a connection could not be closed: {describe_unexpected(error)}"]
    return []


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
