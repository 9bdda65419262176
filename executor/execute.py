"""``execute``: a plan, an inventory and what was asked for, from the first check to the exit code.

Enters: the options of the command line. Leaves: what happens, line by line, a journal, a timeline,
and how it ended. What is wrong before anything was touched is `BadInput` or `Refused`.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from executor.approval import ByFile, ByTerminal
from executor.base.canonical_json import digest_of
from executor.base.errors import BadInput, Refused, RollcastError, describe_unexpected
from executor.base.files import atomic_write_text
from executor.base.signals import StopRequests
from executor.dry_run import actions
from executor.ends import Outcome
from executor.fleet.connect import connect, fleet_key
from executor.fleet.fleet_client import FleetClient
from executor.fleet.inventory import Inventory, read_inventory
from executor.guards import unwatched_guards
from executor.output import say as spoken
from executor.output import show
from executor.plan.file import read_plan
from executor.plan.model import Plan
from executor.plan.rules import broken_rules, refuse_other_tools
from executor.preflight import FleetLook, fits, look_at_fleet, problems_in
from executor.progress import Ended, Event, EventKind, Progress, replay_events
from executor.records.journal import Journal, JournalBroken
from executor.records.lock import Lock, lock_path
from executor.records.timeline import timeline
from executor.run import RolloutRun
from executor.tell import Ending, Teller, say_end, say_how_to_go_on, warn

EXIT_CODES = {Ended.DONE: 0, Ended.HALTED: 4, Ended.ROLLED_BACK: 5, Ended.INTERRUPTED: 130}


@dataclass(frozen=True)
class Execute:
    """What was asked for.

    Attributes:
        plan: The plan file.
        inventory: The inventory file.
        dry_run: Say what would be done, and do nothing.
        resume: Go on with what was begun.
        take_over: Take the lock of an executor that died.
        trust: Public keys; the inventory's are added.
        approve: ``terminal`` or a file; None where waves need no approval.
        journal: The journal; by default beside the plan.
        quiet: Say only what went wrong and how it ended.
        program: How the program was called, for the command to resume with.
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
    program: tuple[str, ...] = field(default=("python", "-m", "executor"))

    @property
    def journal_path(self) -> Path:
        """Where the journal is: ``plan.journal`` beside ``plan.json``."""
        return self.journal or self.plan.with_suffix(".journal")

    @property
    def timeline_path(self) -> Path:
        """Where the timeline goes: beside the journal."""
        return self.journal_path.with_suffix(".timeline.json")

    def resume_command(self) -> str:
        """What goes on where this stops."""
        words = [*self.program, "execute", str(self.plan), "--inventory", str(self.inventory)]
        for key in self.trust:
            words += ["--trust", str(key)]
        if self.approve is not None:
            words += ["--approve", self.approve]
        if self.journal is not None:
            words += ["--journal", str(self.journal)]
        return shlex.join([*words, "--resume"])


def execute(asked: Execute, say: Callable[[str], None] = spoken) -> int:
    """Carries a plan out; returns the exit code.

    Args:
        asked: What was asked for.
        say: Told each line of what happens; it must neither raise nor wait, since that would end a
            rollout halfway or hold it up.

    Raises:
        BadInput: Plan, inventory or options are wrong.
        Refused: A check says no; nothing was touched.
        JournalBroken: The journal could not be written; what was in hand was let finish.
    """
    plan = read_plan(asked.plan)
    inventory = read_inventory(asked.inventory)
    _refuse(plan, inventory, asked)
    _warn_of_readers(asked.plan)
    if asked.dry_run:
        return asyncio.run(_dry_run(asked, plan, inventory))
    with StopRequests() as requests:
        return _execute(asked, plan, inventory, requests, say)


def _execute(
    asked: Execute,
    plan: Plan,
    inventory: Inventory,
    requests: StopRequests,
    say: Callable[[str], None],
) -> int:
    lock = Lock.take(lock_path(fleet_key(inventory)), asked.journal_path, take_over=asked.take_over)
    give_up, ending = lock.put_back, Ending(asked.resume_command())
    try:
        journal = (_journal_of if asked.resume else _new_journal)(asked, plan, inventory)
        give_up = lock.leave  # whatever ends it: something may be left unfinished
        try:
            with suppress(asyncio.CancelledError):  # asked twice to stop: at once
                asyncio.run(
                    _carried_out(
                        asked,
                        plan,
                        inventory,
                        journal=journal,
                        lock=lock,
                        requests=requests,
                        ending=ending,
                        say=say,
                    )
                )
                give_up = lock.release
        finally:
            requests.on_stop = lambda: None  # it has ended; what is left to say is short
            ending.record = _let_go(asked, plan, journal)
            if not ending.record:
                give_up = lock.put_back
    except JournalBroken:
        say_how_to_go_on(ending, say)
        raise
    except RollcastError:
        raise
    except KeyboardInterrupt:
        if not ending.record:
            say("interrupted: nothing was touched")
        raise
    except Exception as error:
        if not ending.record:
            raise Refused(
                f"{asked.plan}: nothing was touched: {describe_unexpected(error)}"
            ) from None
        ending.outcome = Outcome(Ended.HALTED, describe_unexpected(error))
    finally:
        give_up()
    say_end(ending, say)
    return EXIT_CODES[ending.outcome.ended]


def _let_go(asked: Execute, plan: Plan, journal: Journal) -> str:
    """Writes the record of a journal and closes it; what is to be said of the record.

    That is nothing where nothing was begun: such a journal is discarded. What cannot be read or
    written now, as on a disk that is full, must not hide what happened before.
    """
    try:
        if not journal.events():  # refused by a look at the fleet
            journal.discard()
            return ""
        text = json.dumps(timeline(plan, journal), indent=1, ensure_ascii=False)
        atomic_write_text(asked.timeline_path, text + "\n", mode=0o600)
    except Exception as error:
        journal.close()
        why = error if isinstance(error, RollcastError) else describe_unexpected(error)
        return f"There is no timeline: {why}"
    journal.close()
    return f"The timeline is in {asked.timeline_path}"


def look_at(plan: Plan, inventory: Inventory) -> FleetLook:
    """Makes every check of a plan against a fleet as it is now; nothing is changed.

    Raises:
        BadInput: A secret, a key or a library is missing.
    """

    async def look() -> FleetLook:
        hands = connect(inventory, plan)
        try:
            return await look_at_fleet(plan, inventory, hands, resumed=None)
        finally:
            await _close(hands)

    made = fits(plan, inventory)
    if problems_in(made):
        return FleetLook(made, [])
    seen = asyncio.run(look())
    return FleetLook([*made, *seen.checks], seen.warnings)


async def _dry_run(asked: Execute, plan: Plan, inventory: Inventory) -> int:
    events: list[Event] = []
    if asked.resume:
        with closing(_journal_of(asked, plan, inventory)) as journal:
            events = journal.events()
    progress = replay_events([*events, Event(0.0, EventKind.RESUMED)] if events else [])
    hands = connect(inventory, plan)
    try:
        seen = await look_at_fleet(plan, inventory, hands, resumed=progress if events else None)
    finally:
        await _close(hands)
    for warning in seen.warnings:
        warn(warning)
    show(_told_only(hands))
    for line in actions(plan, inventory, hands, progress):
        show(line)
    problems = problems_in(seen.checks)
    if problems:
        raise Refused(f"{asked.plan}: would be refused: {'; '.join(problems)}")
    return 0


def _told_only(hands: FleetClient) -> str:
    """Which balancer the rollout knows of: requests that come by another one are not seen."""
    return f"only {hands.balancer.place()} is told and watched"


async def _close(hands: FleetClient) -> None:
    """Lets go of the machines; the rollout has ended, and a defect here does not change how."""
    try:
        await hands.close()
    except Exception as error:
        warn(f"a machine could not be let go of: {describe_unexpected(error)}")


def _refuse(plan: Plan, inventory: Inventory, asked: Execute) -> None:
    """What can be refused without looking at the fleet.

    Raises:
        Refused: A rule is broken, nobody trusted vouches for the plan, or it is another fleet's.
    """
    refuse_other_tools(plan)
    # Half a rollout is worse than a late one: what was begun in time may be finished.
    now = None if asked.resume else datetime.now(UTC)
    for broken in (*broken_rules(plan, now), *problems_in(fits(plan, inventory, asked.trust))):
        raise Refused(f"{asked.plan}: {broken}")


def _warn_of_readers(path: Path) -> None:
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        warn(f"{path}: mode ({mode:04o}) should be 0600: others can read the plan")


def _new_journal(asked: Execute, plan: Plan, inventory: Inventory) -> Journal:
    """A new journal.

    Raises:
        Refused: There is one.
    """
    about = {
        "plan_digest": plan.digest,
        "service": plan.service,
        "old_version": inventory.versions.old,
        "new_version": inventory.versions.new,
        "inventory": str(asked.inventory.resolve()),
        "inventory_digest": _digest(inventory),
    }
    return Journal.begin(asked.journal_path, about)


def _journal_of(asked: Execute, plan: Plan, inventory: Inventory) -> Journal:
    """The journal to go on with; for a dry run only to be read.

    Raises:
        Refused: There is none, or it is of something else.
    """
    path = asked.journal_path
    journal = Journal.open(path, only_to_read=asked.dry_run)
    about = journal.about()
    problem = None
    if about["plan_digest"] != plan.digest:
        problem = "is of another plan"
    elif (about["old_version"], about["new_version"]) != (
        inventory.versions.old,
        inventory.versions.new,
    ):
        problem = "is of other versions than the inventory's"
    elif replay_events(journal.events()).ended is Ended.ROLLED_BACK:
        problem = "says that the rollout was rolled back: a new one needs a new journal"
    if problem is not None:
        journal.close()
        raise Refused(f"{path}: {problem}")
    if about.get("inventory_digest") != _digest(inventory):
        warn(f"{asked.inventory}: was changed since the rollout began, and counts as it is now")
    return journal


def _digest(inventory: Inventory) -> str:
    return digest_of(inventory.model_dump(mode="json"))


async def _carried_out(
    asked: Execute,
    plan: Plan,
    inventory: Inventory,
    *,
    journal: Journal,
    lock: Lock,
    requests: StopRequests,
    ending: Ending,
    say: Callable[[str], None],
) -> None:
    hands = connect(inventory, plan)
    try:
        events = journal.events() if asked.resume else []
        progress = replay_events(events) if events else None
        await _check_fleet(asked, plan, inventory, hands, progress)
        if not asked.quiet:
            say(_told_only(hands))
        approval = _approval(asked, plan)
        run = RolloutRun(
            plan,
            inventory.versions,
            hands,
            journal,
            approval=approval,
            watcher=Teller(say if not asked.quiet else lambda _: None, approval),
            beat=lock.beat,
        )
        try:
            ending.outcome = await _until_ended(run, requests)
        finally:
            ending.fleet = await run.state_fleet()
    finally:
        await _close(hands)


async def _check_fleet(
    asked: Execute, plan: Plan, inventory: Inventory, hands: FleetClient, progress: Progress | None
) -> None:
    """Looks at the fleet before anything is touched.

    Raises:
        Refused: A check is broken.
    """
    look = await look_at_fleet(plan, inventory, hands, resumed=progress)
    for warning in (*look.warnings, *unwatched_guards(plan)):
        warn(warning)
    if problems := problems_in(look.checks):
        raise Refused(f"{asked.plan}: nothing was touched: {'; '.join(problems)}")


async def _until_ended(run: RolloutRun, requests: StopRequests) -> Outcome:
    """Lets the first request to stop finish the steps in hand, the second none."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(run.to_its_end())
    asked_before = False

    def stop() -> None:
        nonlocal asked_before
        if asked_before:
            run.stop_at_once()
            task.cancel()
        else:
            asked_before = True
            warn("stopping: the steps in hand are finished first; once more stops at once")
            run.stop()

    def wake_to_stop() -> None:
        loop.call_soon_threadsafe(stop)

    requests.on_stop = wake_to_stop
    try:
        return await task
    finally:
        requests.on_stop = lambda: None


def _approval(asked: Execute, plan: Plan) -> ByFile | ByTerminal | None:
    if asked.approve is None:
        return None
    if asked.approve != "terminal":
        return ByFile(Path(asked.approve), plan.digest)
    try:
        return ByTerminal()
    except (OSError, ValueError):
        raise BadInput("--approve terminal: there is no terminal to answer on") from None
