"""Carry a plan out in a loop: observe the fleet, decide, write into the journal, act.

`executor.decide` decides what to do, `executor.steps` executes a step. The intent of each action is
on the disk before the action, its outcome after it. Steps of different instances run side by side;
decisions and writes happen one at a time in this loop.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

from executor.base.errors import describe_unexpected
from executor.counter import RequestCounter
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
from executor.fleet.probe import ProbeResult
from executor.guards import find_crossed_limit
from executor.plan.model import Gate, Plan, Step
from executor.progress import Ended, Event, EventKind, replay_events
from executor.records.journal import Journal, JournalBroken
from executor.statement import FleetStatement, state_fleet
from executor.steps import do_step

_logger = logging.getLogger(__name__)

_STATED_WITHIN_S = 5.0
"""Maximum time, in seconds, to observe the fleet once more after the rollout has ended."""


class RolloutRun:
    """One executor's work on one plan, from its begin or its resume to its end."""

    def __init__(
        self,
        plan: Plan,
        versions: VersionNames,
        fleet: FleetClient,
        journal: Journal,
        *,
        approval: Approval | None = None,
        watcher: Watcher | None = None,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._plan = plan
        self._versions = versions
        self._fleet = fleet
        self._journal = journal
        self._approval = approval or Nobody()
        self._watcher = watcher or Nobody()
        self._beat = beat
        events = journal.events()
        self.progress = replay_events(events)
        self._is_new = not events
        # The plan's validity limits when a rollout may begin, not when it ends. From here on only the
        # monotonic clock counts, which nobody can set.
        valid_for_s = (plan.valid_until() - datetime.now(UTC)).total_seconds()
        self._approval_by_s = valid_for_s if self._is_new else math.inf
        self._offset_s = max((event.t_s for event in events), default=0.0)
        self._tasks: dict[str, tuple[Step, asyncio.Task[str]]] = {}
        self._probes: dict[str, ProbeResult] = {}
        self._waited: tuple[Waiting, float] | None = None
        self._removal_failing_since_s: dict[str, float] = {}
        self._new_names: set[str] = set()
        for event in events:
            self._track_version(event)
        self._counter = RequestCounter(journal.samples()[-1:])
        self._wake = asyncio.Event()
        self._is_stop_requested = False
        self._is_cancelled = False
        self._balancer_state: BalancerState | None = None
        self._identity: str | None = None
        self._sampled_s = -math.inf

    async def to_its_end(self) -> Outcome:
        """Carry the plan out, or resume it, until the rollout has ended.

        A defect of the executor halts the rollout as any failure does: the running steps finish, and
        their outcomes and the reason are in the journal.

        Raises:
            JournalBroken: The journal cannot be written; the running steps have finished.
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
            await self._finish_steps()
            self._collect()
            return self._end(Ended.HALTED, why)
        finally:
            await self._finish_steps()

    def stop(self) -> None:
        """Ask the rollout to finish the running steps and to begin nothing else."""
        self._is_stop_requested = True
        self._wake.set()

    def stop_at_once(self) -> None:
        """Cancel the running steps and leave the fleet as it is; the journal holds their intents."""
        self._is_cancelled = True
        for _, task in self._tasks.values():
            task.cancel()

    async def state_fleet(self) -> FleetStatement:
        """Return the present state of the fleet, or its last known state where it cannot be observed."""
        why = "it was not looked at again" if self._is_cancelled else await self._observe_again()
        return state_fleet(
            self._plan.instances,
            self._fleet,
            state=self._balancer_state,
            direct=self._probes,
            progress=self.progress,
            why_not_looked=why,
        )

    async def _observe_again(self) -> str:
        """Observe the fleet once more; return why that was not possible, empty where it was."""
        try:
            async with asyncio.timeout(_STATED_WITHIN_S):
                self._balancer_state = await self._fleet.observe()
                self._probes.clear()
                await self._probe_instances()
        except TimeoutError:
            return f"no answer within {_STATED_WITHIN_S:g} s"
        except Exception as error:  # the statement must come whatever happens
            return str(error) if isinstance(error, BalancerError) else describe_unexpected(error)
        return ""

    async def _pass(self) -> Outcome | None:
        """Observe the fleet once and execute one decision; return the outcome when the rollout ends."""
        self._collect()
        self._beat()
        snapshot = await self._observe()
        decision = decide(self._plan, snapshot)
        _logger.debug("decided %s", decision)
        if not isinstance(decision, Wait):
            self._waited = None
        if not isinstance(decision, KeepOut) and not _is_balancer_wait(decision):
            self._removal_failing_since_s.clear()
        match decision:
            case Act():
                self._begin(decision, snapshot)
            case KeepOut():
                await self._keep_out(decision.instances)
            case DecisionNote():
                self._write(
                    Event(
                        self._now_s(),
                        decision.kind,
                        decision.instance,
                        said=decision.said,
                        names=decision.names,
                        wave=decision.wave,
                    )
                )
            case Wait():
                await self._wait(decision)
            case Halt():
                return self._end(Ended.HALTED, decision.why)
            case Done():
                return self._end(decision.ended, "")
        return None

    # observing

    async def _observe(self) -> FleetSnapshot:
        state = await self._observe_balancer()
        if state is not None:
            await self._probe_instances()
        snapshot = FleetSnapshot(
            now_s=self._now_s(),
            progress=self.progress,
            instances={} if state is None else self._instances(state),
            versions=self._versions,
            running_steps={name: step for name, (step, _) in self._tasks.items()},
            waited_s=self._waited_s(),
            removal_failing_s=self._removal_failing_s(),
            is_stop_requested=self._is_stop_requested,
            approval=self._approval_state(),
        )
        if state is None:
            return snapshot
        return replace(snapshot, crossed_limit=self._count_requests(state, snapshot))

    async def _observe_balancer(self) -> BalancerState | None:
        """Return the balancer's state; None while it gives no usable answer.

        The journal gets the problem once, not at every poll.
        """
        try:
            state = self._balancer_state = await self._fleet.observe()
            missing = [n for n in self._plan.instances if self._server_name(n) not in state.servers]
            problem = f"the balancer no longer knows {', '.join(missing)}" if missing else None
        except (Unreachable, Rejected, Forbidden) as error:
            problem = str(error)
        if problem is not None:
            if self._identity != "":
                self._identity = ""
                self._notice(problem)
            return None
        if self._identity not in {None, state.identity}:  # a new process may have lost every change
            self._notice("the balancer was restarted or reloaded, or answers again")
            self._probes.clear()
        self._identity = state.identity
        return state

    def _approval_state(self) -> Literal["given", "awaited", "refused", "late"]:
        # Waves are counted from 1, and the next wave comes after the gate that is not passed yet.
        answer = self._approval.of(self.progress.gates_passed + 2)
        return "late" if answer == "awaited" and self._now_s() > self._approval_by_s else answer

    async def _probe_instances(self) -> None:
        """Probe the instances that were not probed since their last step and have none running."""
        unknown = [
            name
            for name in self._plan.instances
            if name not in self._probes and name not in self._tasks
        ]
        answers = await asyncio.gather(*(self._fleet.probe_instance(name) for name in unknown))
        self._probes.update(zip(unknown, answers, strict=True))

    def _instances(self, state: BalancerState) -> dict[str, InstanceView]:
        views: dict[str, InstanceView] = {}
        for name in self._plan.instances:
            probed = self._probes.get(name)
            views[name] = InstanceView(
                state.servers[self._server_name(name)],
                probed.healthy if probed else None,
                probed.version if probed else None,
            )
        return views

    def _server_name(self, name: str) -> str:
        """Return the name of an instance's server in the balancer's backend."""
        return self._fleet.targets[name].server

    def _count_requests(self, state: BalancerState, snapshot: FleetSnapshot) -> str | None:
        """Count requests, write a sample into the journal once a poll, and return a crossed limit."""
        gate = open_gate(self._plan, snapshot)
        bake: tuple[Gate, float] | None = gate if gate and gate[0].kind == "bake" else None
        new_servers = {self._server_name(name) for name in self._new_names}
        counts = self._counter.count(
            snapshot.now_s, state, new_servers, since_s=bake[1] if bake else None
        )
        if snapshot.now_s - self._sampled_s >= self._fleet.poll_s:
            self._sampled_s = snapshot.now_s
            self._counter.append(counts)
            in_pool = [name for name, view in snapshot.instances.items() if view.server.is_in_pool]
            self._journal.sample(
                snapshot.now_s,
                {
                    "in_pool": in_pool,
                    "requests_count": counts.requests_count,
                    "failed_count": counts.failed_count,
                    "queued_count": counts.queued_count,
                    "exposure_count": self._counter.exposure_count,
                },
            )
        if self.progress.brake is not None or self.progress.direction == "back":
            return None
        is_over = bake is not None and snapshot.now_s >= bake[1] + bake[0].pause_s
        return find_crossed_limit(
            self._plan, self._counter.history, counts, bake[0] if bake else None, is_over
        )

    def _waited_s(self) -> Mapping[Waiting, float]:
        return {self._waited[0]: self._now_s() - self._waited[1]} if self._waited else {}

    def _removal_failing_s(self) -> Mapping[str, float]:
        return {
            name: self._now_s() - since_s for name, since_s in self._removal_failing_since_s.items()
        }

    # acting

    def _begin(self, act: Act, snapshot: FleetSnapshot) -> None:
        """Write the intent of a step into the journal, then start the step."""
        version = self._target()
        if self.progress.of(act.instance).found is None:
            admin = snapshot.instances[act.instance].server.admin
            self._write(Event(self._now_s(), EventKind.FOUND, act.instance, admin=admin))
        self._write(Event(self._now_s(), EventKind.INTENT, act.instance, act.step, version))
        self._probes.pop(act.instance, None)

        def write_intended_admin(admin: Admin) -> None:
            self._write(Event(self._now_s(), EventKind.TOLD, act.instance, admin=admin))

        intended_admin = self.progress.of(act.instance).told
        step = do_step(
            self._fleet,
            self._plan,
            act.instance,
            act.step,
            version,
            intended_admin=intended_admin,
            on_intent=write_intended_admin,
        )
        task = asyncio.get_running_loop().create_task(step)
        task.add_done_callback(lambda _: self._wake.set())
        self._tasks[act.instance] = (act.step, task)

    def _collect(self) -> None:
        """Write the outcomes of the steps that have ended into the journal."""
        for name, (step, task) in list(self._tasks.items()):
            if not task.done():
                continue
            version = self._target()
            kind, result = end_of_step(task, is_stopped=self._is_cancelled)
            self._write(Event(self._now_s(), kind, name, step, version, result))
            del self._tasks[name]
            self._probes.pop(name, None)

    async def _keep_out(self, names: tuple[str, ...]) -> None:
        """Take instances out of the pool.

        Where that fails, the journal gets the failure once, and the next decision tries again.
        """
        for name in self._removal_failing_since_s.keys() - set(names):
            del self._removal_failing_since_s[name]  # somebody else took it out
        for name in names:
            is_again = name in self._removal_failing_since_s
            if not is_again:
                self._write(Event(self._now_s(), EventKind.KEEP_OUT, name))
            try:
                await self._fleet.tell(self._fleet.balancer.remove, name)
            except BalancerError as error:
                if is_again:
                    continue
                self._removal_failing_since_s[name] = self._now_s()
                result = f"not yet: {error}"
            else:
                self._removal_failing_since_s.pop(name, None)
                result = "it was in the pool and must not be, and was taken out"
            self._write(Event(self._now_s(), EventKind.KEPT_OUT, name, said=result))
        if self._removal_failing_since_s:
            await self._wait_for_poll()

    async def _wait(self, wait: Wait) -> None:
        if self._waited is None or self._waited[0] is not wait.what:
            self._waited = (wait.what, self._now_s())
            self._notify_watcher(lambda: self._watcher.waits(wait))
        if wait.what is Waiting.SETTLING:
            self._probes.clear()
        await self._wait_for_poll()

    async def _wait_for_poll(self) -> None:
        """Wait until the next poll, a step's end or a request to stop, whichever comes first."""
        if any(task.done() for _, task in self._tasks.values()):
            return
        self._wake.clear()
        try:
            async with asyncio.timeout(self._fleet.poll_s):
                await self._wake.wait()
        except TimeoutError:
            return

    def _end(self, ended: Ended, why: str) -> Outcome:
        if why:
            self._notice(why)
        self._write(Event(self._now_s(), EventKind.ENDED, ended=ended))
        reasons = {name: self.progress.of(name).given_up for name in self._plan.instances}
        return Outcome(
            ended, why, {n: reason for n, reason in reasons.items() if reason is not None}
        )

    async def _finish_steps(self) -> None:
        """Wait until the running steps have ended; each has a deadline."""
        tasks = [task for _, task in self._tasks.values()]
        await asyncio.gather(*tasks, return_exceptions=True)

    # writing

    def _notice(self, text: str) -> None:
        """Write a notice for people into the journal."""
        self._write(Event(self._now_s(), EventKind.NOTICED, said=text))

    def _write(self, event: Event) -> None:
        self._journal.write(event, datetime.now(UTC).isoformat(timespec="milliseconds"))
        self.progress = self.progress.after(event)
        self._track_version(event)
        self._notify_watcher(lambda: self._watcher.happened(event))

    def _notify_watcher(self, call: Callable[[], None]) -> None:
        """Call the watcher; a watcher that fails is not called again, and the rollout goes on."""
        try:
            call()
        except Exception as error:
            self._watcher = Nobody()
            self._notice(f"what happens can no longer be shown: {describe_unexpected(error)}")

    def _track_version(self, event: Event) -> None:
        """Track which servers have the new version, from when their return begins."""
        if event.kind in (EventKind.INTENT, EventKind.DONE) and event.step is Step.RETURN:
            is_new = event.version == self._versions.new
            (self._new_names.add if is_new else self._new_names.discard)(event.instance)

    def _target(self) -> str:
        """Return the version that instances are brought to."""
        return self._versions.old if self.progress.direction == "back" else self._versions.new

    def _now_s(self) -> float:
        """Return the seconds since the rollout began; after a resume, from where the journal ends."""
        return self._offset_s + asyncio.get_running_loop().time() - self._begun_s


def _is_balancer_wait(decision: Decision) -> bool:
    return isinstance(decision, Wait) and decision.what is Waiting.BALANCER
