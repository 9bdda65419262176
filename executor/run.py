"""Carrying a plan out: observe, decide, write down, act, observe again.

Enters: a plan, what acts on the fleet, and a journal. Leaves: how it ended, and a journal that
tells all of it. What to do is decided in `executor.decide`; how a step is done stands in
`executor.steps`.

Before each action its intent is on the disk, after it its outcome. Steps of different instances run
side by side; everything that is decided or written happens in one place, one thing at a time.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

from executor.base.errors import describe_unexpected
from executor.counter import Counter
from executor.decide import (
    Act,
    Decision,
    DecisionNote,
    Done,
    FleetSnapshot,
    Halt,
    InstanceView,
    KeepOut,
    Wait,
    Waiting,
    decide,
    open_gate,
)
from executor.ends import Approval, Nobody, Outcome, Watcher, end_of_step
from executor.fleet.balancers.base import (
    Admin,
    BalancerError,
    BalancerState,
    Forbidden,
    Rejected,
    Unreachable,
)
from executor.fleet.fleet_client import FleetClient
from executor.fleet.inventory import VersionNames
from executor.fleet.probe import Direct
from executor.guards import find_crossed_limit
from executor.plan.model import Gate, Plan, Step
from executor.progress import Ended, Event, EventKind, replay_events
from executor.records.journal import Journal, JournalBroken
from executor.statement import FleetStatement, state_fleet
from executor.steps import do_step

_STATED_WITHIN_S = 5.0
"""Maximum time, in seconds, that a rollout that has ended looks at its fleet once more."""


class RolloutRun:
    """One executor's work on one plan, from begin or resume to its end."""

    def __init__(
        self,
        plan: Plan,
        versions: VersionNames,
        hands: FleetClient,
        journal: Journal,
        *,
        approval: Approval | None = None,
        watcher: Watcher | None = None,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._plan = plan
        self._versions = versions
        self._hands = hands
        self._journal = journal
        self._approval = approval or Nobody()
        self._watcher = watcher or Nobody()
        self._beat = beat
        events = journal.events()
        self.progress = replay_events(events)
        self._is_new = not events
        # What was begun in time may be finished; from here on no clock counts that can be set.
        valid_for_s = (plan.valid_until() - datetime.now(UTC)).total_seconds()
        self._approval_by_s = valid_for_s if self._is_new else math.inf
        self._offset_s = max((event.t_s for event in events), default=0.0)
        self._tasks: dict[str, tuple[Step, asyncio.Task[str]]] = {}
        self._direct: dict[str, Direct] = {}
        self._waited: tuple[Waiting, float] | None = None
        self._stuck_since_s: dict[str, float] = {}
        self._new: set[str] = set()
        for event in events:
            self._mind_version(event)
        self._counter = Counter(journal.samples()[-1:])
        self._wake = asyncio.Event()
        self._stop_asked = False
        self._is_cancelled = False
        self._balancer_state: BalancerState | None = None
        self._identity: str | None = None
        self._sampled_s = -math.inf

    async def to_its_end(self) -> Outcome:
        """Carries the plan out, or goes on with it.

        A defect halts it as anything else does: the steps in hand finish, their outcomes and the
        reason are in the journal.

        Raises:
            JournalBroken: It cannot be written; the steps in hand were let finish.
        """
        self._begun_s = asyncio.get_running_loop().time()
        try:
            self._write(
                Event(self._now_s(), EventKind.BEGUN if self._is_new else EventKind.RESUMED)
            )
            while True:
                outcome = await self._pass()
                if outcome is not None:
                    return outcome
        except JournalBroken:
            raise
        except Exception as error:
            why = describe_unexpected(error)
            await self._let_finish()
            self._collect()
            return self._end(Ended.HALTED, why)
        finally:
            await self._let_finish()

    def stop(self) -> None:
        """The steps in hand are to be finished, and nothing else begun."""
        self._stop_asked = True
        self._wake.set()

    def stop_at_once(self) -> None:
        """Leaves everything as it is; the journal says what was in hand."""
        self._is_cancelled = True
        for _, task in self._tasks.values():
            task.cancel()

    async def state_fleet(self) -> FleetStatement:
        """How the fleet is now; as it was last seen where it cannot be looked at, or not any more."""
        why = "it was not looked at again" if self._is_cancelled else await self._look_again()
        return state_fleet(
            self._plan.instances,
            self._hands,
            state=self._balancer_state,
            direct=self._direct,
            progress=self.progress,
            why_not_looked=why,
        )

    async def _look_again(self) -> str:
        """Looks at the fleet once more; why that was not possible, empty where it was."""
        try:
            async with asyncio.timeout(_STATED_WITHIN_S):
                self._balancer_state = await self._hands.observe()
                self._direct.clear()
                await self._ask_instances()
        except TimeoutError:
            return f"no answer within {_STATED_WITHIN_S:g} s"
        except Exception as error:  # the statement must come whatever happens
            return str(error) if isinstance(error, BalancerError) else describe_unexpected(error)
        return ""

    async def _pass(self) -> Outcome | None:
        """One look and one thing done; how it ended, when it has."""
        self._collect()
        self._beat()
        seen = await self._look()
        decision = decide(self._plan, seen)
        if not isinstance(decision, Wait):
            self._waited = None
        if not isinstance(decision, KeepOut) and not _is_for_balancer(decision):
            self._stuck_since_s.clear()
        match decision:
            case Act():
                self._begin(decision, seen)
            case KeepOut():
                await self._keep_out(decision.instances)
            case DecisionNote():
                self._write(
                    Event(self._now_s(), decision.kind, decision.instance, said=decision.said)
                )
            case Wait():
                await self._wait(decision)
            case Halt():
                return self._end(Ended.HALTED, decision.why)
            case Done():
                return self._end(decision.ended, "")
        return None

    # looking

    async def _look(self) -> FleetSnapshot:
        state = await self._state()
        if state is not None:
            await self._ask_instances()
        seen = FleetSnapshot(
            now_s=self._now_s(),
            progress=self.progress,
            instances={} if state is None else self._instances(state),
            versions=self._versions,
            busy={name: step for name, (step, _) in self._tasks.items()},
            waited_s=self._waited_s(),
            stuck_s=self._stuck_s(),
            stop_asked=self._stop_asked,
            approval=self._approved(),
        )
        if state is None:
            return seen
        return replace(seen, tripped=self._count(state, seen))

    async def _state(self) -> BalancerState | None:
        """What the balancer says; None, and told once, while it is none to work with."""
        try:
            state = self._balancer_state = await self._hands.observe()
            missing = [n for n in self._plan.instances if self._server(n) not in state.servers]
            problem = f"the balancer no longer knows {', '.join(missing)}" if missing else None
        except (Unreachable, Rejected, Forbidden) as error:
            problem = str(error)
        if problem is not None:
            if self._identity != "":
                self._identity = ""
                self._notice(problem)
            return None
        if self._identity not in {None, state.identity}:  # another process may have forgotten all
            self._notice("the balancer was restarted or reloaded, or answers again")
            self._direct.clear()
        self._identity = state.identity
        return state

    def _approved(self) -> Literal["given", "awaited", "refused", "late"]:
        answer = self._approval.of(self.progress.gates_passed + 2)
        return "late" if answer == "awaited" and self._now_s() > self._approval_by_s else answer

    async def _ask_instances(self) -> None:
        """Asks those instances themselves of which nothing is known since their last step."""
        unasked = [
            name
            for name in self._plan.instances
            if name not in self._direct and name not in self._tasks
        ]
        answers = await asyncio.gather(*(self._hands.direct(name) for name in unasked))
        self._direct.update(zip(unasked, answers, strict=True))

    def _instances(self, state: BalancerState) -> dict[str, InstanceView]:
        found: dict[str, InstanceView] = {}
        for name in self._plan.instances:
            direct = self._direct.get(name)
            found[name] = InstanceView(
                state.servers[self._server(name)],
                direct.healthy if direct else None,
                direct.version if direct else None,
            )
        return found

    def _server(self, name: str) -> str:
        """What the balancer calls an instance."""
        return self._hands.targets[name].server

    def _count(self, state: BalancerState, seen: FleetSnapshot) -> str | None:
        """Which limit was crossed; a sample of what was seen goes into the journal."""
        opened = open_gate(self._plan, seen)
        bake: tuple[Gate, float] | None = opened if opened and opened[0].kind == "bake" else None
        new = {self._server(name) for name in self._new}
        counted = self._counter.count(seen.now_s, state, new, since_s=bake[1] if bake else None)
        if seen.now_s - self._sampled_s >= self._hands.poll_s:
            self._sampled_s = seen.now_s
            self._counter.keep(counted)
            in_pool = [name for name, one in seen.instances.items() if one.server.is_in_pool]
            self._journal.sample(
                seen.now_s,
                {
                    "in_pool": in_pool,
                    "requests_count": counted.requests_count,
                    "failed_count": counted.failed_count,
                    "queued_count": counted.queued_count,
                    "exposure_count": self._counter.exposure_count,
                },
            )
        if self.progress.brake is not None or self.progress.direction == "back":
            return None
        is_over = bake is not None and seen.now_s >= bake[1] + bake[0].pause_s
        return find_crossed_limit(
            self._plan, self._counter.kept, counted, bake[0] if bake else None, is_over
        )

    def _waited_s(self) -> Mapping[Waiting, float]:
        return {self._waited[0]: self._now_s() - self._waited[1]} if self._waited else {}

    def _stuck_s(self) -> Mapping[str, float]:
        return {name: self._now_s() - since_s for name, since_s in self._stuck_since_s.items()}

    # doing

    def _begin(self, act: Act, seen: FleetSnapshot) -> None:
        version = self._target()
        if self.progress.of(act.instance).found is None:
            admin = seen.instances[act.instance].server.admin
            self._write(Event(self._now_s(), EventKind.FOUND, act.instance, said=admin))
        self._write(Event(self._now_s(), EventKind.INTENT, act.instance, act.step, version))
        self._direct.pop(act.instance, None)

        def write_told(admin: Admin) -> None:
            self._write(Event(self._now_s(), EventKind.TOLD, act.instance, said=admin))

        told = self.progress.of(act.instance).told
        step = do_step(
            self._hands, self._plan, act.instance, act.step, version, told=told, on_told=write_told
        )
        task = asyncio.get_running_loop().create_task(step)
        task.add_done_callback(lambda _: self._wake.set())
        self._tasks[act.instance] = (act.step, task)

    def _collect(self) -> None:
        """Writes down what came of the steps that have ended."""
        for name, (step, task) in list(self._tasks.items()):
            if not task.done():
                continue
            version = self._target()
            kind, said = end_of_step(task, is_stopped=self._is_cancelled)
            self._write(Event(self._now_s(), kind, name, step, version, said))
            del self._tasks[name]
            self._direct.pop(name, None)

    async def _keep_out(self, names: tuple[str, ...]) -> None:
        """Takes them out; where that fails it is told once, and tried again at the next look."""
        for name in self._stuck_since_s.keys() - set(names):
            del self._stuck_since_s[name]  # somebody else has taken it out
        for name in names:
            is_again = name in self._stuck_since_s
            if not is_again:
                self._write(Event(self._now_s(), EventKind.KEEP_OUT, name))
            try:
                await self._hands.tell(self._hands.balancer.remove, name)
            except BalancerError as error:
                if is_again:
                    continue
                self._stuck_since_s[name] = self._now_s()
                said = f"not yet: {error}"
            else:
                self._stuck_since_s.pop(name, None)
                said = "it was in the pool and must not be, and was taken out"
            self._write(Event(self._now_s(), EventKind.KEPT_OUT, name, said=said))
        if self._stuck_since_s:
            await self._until_next_look()

    async def _wait(self, wait: Wait) -> None:
        if self._waited is None or self._waited[0] is not wait.what:
            self._waited = (wait.what, self._now_s())
            self._tell_watcher(lambda: self._watcher.waits(wait))
        if wait.what is Waiting.SETTLING:
            self._direct.clear()
        await self._until_next_look()

    async def _until_next_look(self) -> None:
        """One poll, or less when a step ends or somebody wants it to stop."""
        if any(task.done() for _, task in self._tasks.values()):
            return
        self._wake.clear()
        try:
            async with asyncio.timeout(self._hands.poll_s):
                await self._wake.wait()
        except TimeoutError:
            return

    def _end(self, ended: Ended, why: str) -> Outcome:
        if why:
            self._notice(why)
        self._write(Event(self._now_s(), EventKind.ENDED, said=ended))
        reasons = {name: self.progress.of(name).given_up for name in self._plan.instances}
        return Outcome(
            ended, why, {n: reason for n, reason in reasons.items() if reason is not None}
        )

    async def _let_finish(self) -> None:
        """The steps in hand, when everything else is over: they have deadlines of their own."""
        tasks = [task for _, task in self._tasks.values()]
        await asyncio.gather(*tasks, return_exceptions=True)

    # writing

    def _notice(self, said: str) -> None:
        self._write(Event(self._now_s(), EventKind.NOTICED, said=said))

    def _write(self, event: Event) -> None:
        self._journal.write(event, datetime.now(UTC).isoformat(timespec="milliseconds"))
        self.progress = self.progress.after(event)
        self._mind_version(event)
        self._tell_watcher(lambda: self._watcher.happened(event))

    def _tell_watcher(self, tell: Callable[[], None]) -> None:
        """Tells the watcher; one that fails is told no more, and the rollout goes on."""
        try:
            tell()
        except Exception as error:
            self._watcher = Nobody()
            self._notice(f"what happens can no longer be shown: {describe_unexpected(error)}")

    def _mind_version(self, event: Event) -> None:
        """Which instances serve with the new version: from when their return begins."""
        if event.kind in (EventKind.INTENT, EventKind.DONE) and event.step is Step.RETURN:
            is_new = event.version == self._versions.new
            (self._new.add if is_new else self._new.discard)(event.instance)

    def _target(self) -> str:
        """Return the version that instances are brought to."""
        return self._versions.old if self.progress.direction == "back" else self._versions.new

    def _now_s(self) -> float:
        """Since the rollout began; a resumed one goes on where the journal ends."""
        return self._offset_s + asyncio.get_running_loop().time() - self._begun_s


def _is_for_balancer(decision: Decision) -> bool:
    return isinstance(decision, Wait) and decision.what is Waiting.BALANCER
