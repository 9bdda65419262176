"""``execute``: a plan, an inventory and what was asked for, from the first check to the exit code.

Enters: the options of the command line. Leaves: what happens, line by line, a journal, a timeline,
and how it ended. What is wrong before anything was touched is `BadInput` or `Refused`.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from executor.approval import ByFile, ByTerminal
from executor.canonical import digest_of
from executor.connect import connected, fleet_key
from executor.decide import Wait, Waiting
from executor.dry_run import actions
from executor.errors import BadInput, Refused
from executor.files import atomic_write_text
from executor.guards import not_watched
from executor.inventory import Inventory, read_inventory
from executor.journal import Journal, JournalBroken
from executor.lock import Lock, lock_path
from executor.plan import Plan
from executor.plan_file import read_plan
from executor.plan_rules import broken_rules, refuse_other_tools
from executor.preflight import Checks, fits, looked_at, problems_in
from executor.progress import Ended, Event, Kind, folded
from executor.run import Outcome, Run
from executor.spoken import complain, show
from executor.spoken import say as spoken
from executor.timeline import timeline

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
    lock = Lock.take(lock_path(fleet_key(inventory)), asked.journal_path, take_over=asked.take_over)
    give_up = lock.put_back
    outcome, record = Outcome(Ended.INTERRUPTED, "stopped at once"), ""
    try:
        journal = (_journal_of if asked.resume else _new_journal)(asked, plan, inventory)
        give_up = lock.leave  # whatever ends it: something may be left unfinished
        try:
            with suppress(asyncio.CancelledError):  # asked twice to stop: at once
                outcome = asyncio.run(
                    _carried_out(asked, plan, inventory, journal=journal, lock=lock, say=say)
                )
                give_up = lock.release
        finally:
            record = _let_go(asked, plan, journal)
            if not record:
                give_up = lock.put_back
    finally:
        give_up()
    _say_end(asked, outcome, record, say)
    return EXIT_CODES[outcome.ended]


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
    except (BadInput, JournalBroken) as error:
        journal.close()
        return f"There is no timeline: {error}"
    journal.close()
    return f"The timeline is in {asked.timeline_path}"


def checks_of_fleet(plan: Plan, inventory: Inventory) -> Checks:
    """Every check of a plan against a fleet as it is now; nothing is changed.

    Raises:
        BadInput: A secret, a key or a library is missing.
    """

    async def look() -> Checks:
        hands = connected(inventory, plan)
        try:
            return await looked_at(plan, inventory, hands, resumed=False)
        finally:
            await hands.close()

    made = fits(plan, inventory)
    return made if problems_in(made) else [*made, *asyncio.run(look())]


async def _dry_run(asked: Execute, plan: Plan, inventory: Inventory) -> int:
    events: list[Event] = []
    if asked.resume:
        with closing(_journal_of(asked, plan, inventory)) as journal:
            events = journal.events()
    progress = folded([*events, Event(0.0, Kind.RESUMED)] if events else [])
    hands = connected(inventory, plan)
    try:
        problems = problems_in(await looked_at(plan, inventory, hands, resumed=bool(events)))
    finally:
        await hands.close()
    for line in actions(plan, inventory, hands, progress):
        show(line)
    if problems:
        raise Refused(f"{asked.plan}: would be refused: {'; '.join(problems)}")
    return 0


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
        _warn(f"{path}: mode ({mode:04o}) should be 0600: others can read the plan")


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
    elif folded(journal.events()).ended is Ended.ROLLED_BACK:
        problem = "says that the rollout was rolled back: a new one needs a new journal"
    if problem is not None:
        journal.close()
        raise Refused(f"{path}: {problem}")
    if about.get("inventory_digest") != _digest(inventory):
        _warn(f"{asked.inventory}: was changed since the rollout began, and counts as it is now")
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
    say: Callable[[str], None],
) -> Outcome:
    hands = connected(inventory, plan)
    try:
        for warning in (*hands.balancer.warnings(), *not_watched(plan)):
            _warn(warning)
        resumed = asked.resume and bool(journal.events())
        problems = problems_in(await looked_at(plan, inventory, hands, resumed=resumed))
        if problems:
            raise Refused(f"{asked.plan}: nothing was touched: {'; '.join(problems)}")
        approval = _approval(asked, plan)
        run = Run(
            plan,
            (inventory.versions.old, inventory.versions.new),
            hands,
            journal,
            approval=approval,
            watcher=_Teller(say if not asked.quiet else lambda _: None, approval),
            beat=lock.beat,
        )
        return await _with_signals(run)
    finally:
        await hands.close()


async def _with_signals(run: Run) -> Outcome:
    """Lets the first signal finish the steps in hand, the second none."""
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
            _warn("stopping: the steps in hand are finished first; once more stops at once")
            run.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        return await task
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _approval(asked: Execute, plan: Plan) -> ByFile | ByTerminal | None:
    if asked.approve is None:
        return None
    if asked.approve != "terminal":
        return ByFile(Path(asked.approve), plan.digest)
    try:
        return ByTerminal()
    except (OSError, ValueError):
        raise BadInput("--approve terminal: there is no terminal to answer on") from None


class _Teller:
    """Says what happens, a line each."""

    def __init__(self, say: Callable[[str], None], approval: ByFile | ByTerminal | None) -> None:
        self._say = say
        self._approval = approval

    def happened(self, event: Event) -> None:
        """Says an event that people want to know of."""
        if event.kind in {Kind.BEGUN, Kind.ENDED, Kind.KEEP_OUT}:
            return
        words = [f"{event.t_s:8.1f} s", event.instance]
        words.append((event.step or "").replace("_", " "))
        if event.kind is not Kind.INTENT:
            words.append(event.kind.replace("_", " "))
            words.append(event.said)
        else:
            words.append("…")
        self._say("  ".join(word for word in words if word))

    def waits(self, wait: Wait) -> None:
        """Says what is waited for where that is not a step."""
        if wait.what is Waiting.APPROVAL:
            wave = int(wait.why.rsplit(" ", 1)[1])
            if isinstance(self._approval, ByTerminal):
                self._approval.ask(wave)
                self._say(f"wave {wave} may begin? yes or no")
            elif self._approval is not None:
                self._say(f"wave {wave} begins when the file says: {self._approval.line(wave)}")
        elif wait.what not in {Waiting.STEPS, Waiting.SETTLING}:
            self._say(f"            waiting for {wait.why}")


def _say_end(asked: Execute, outcome: Outcome, record: str, say: Callable[[str], None]) -> None:
    words = {
        Ended.DONE: "done: every instance that was rolled is in the pool with the new version",
        Ended.ROLLED_BACK: "rolled back: every instance that was changed has the old version again",
        Ended.HALTED: "halted",
        Ended.INTERRUPTED: "interrupted",
    }
    say(words[outcome.ended] + (f": {outcome.why}" if outcome.why else ""))
    if outcome.given_up:
        told = ", ".join(f"{name} ({why})" for name, why in outcome.given_up.items())
        say(f"Given up and out of the pool: {told}")
    say(record)
    if outcome.ended in {Ended.HALTED, Ended.INTERRUPTED}:
        say(f"Go on with: {asked.resume_command()}")


def _warn(said: str) -> None:
    complain(f"warning: {said}")
