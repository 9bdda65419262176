"""Execute one of the six steps of one instance, and verify that it took effect.

Every step has the plan's deadline, and every step may be repeated without harm: after a crash the
journal knows the intent of a step, not whether it was done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from executor.base.errors import describe_unexpected
from executor.fleet.balancers.base import (
    Admin,
    BalancerState,
    Forbidden,
    Rejected,
    Server,
    Unreachable,
    is_drained,
    is_held_by_others,
)
from executor.fleet.fleet_client import Answer, FleetClient
from executor.fleet.hosts.base import HostError
from executor.plan.model import Plan, Step


class StepFailed(Exception):
    """A step that failed; the message says why."""


class SetBack(Exception):
    """An instance that must start over: earlier steps no longer hold, and the message says why."""


class HeldByOthers(Exception):
    """A server that somebody else took out of the pool, so that only they may put it back."""

    def __init__(self, admin: Admin) -> None:
        super().__init__(f"somebody else put it into {admin}")


async def do_step(
    fleet: FleetClient,
    plan: Plan,
    name: str,
    step: Step,
    version: str,
    *,
    intended_admin: Admin = Admin.READY,
    on_intent: Callable[[Admin], None] = lambda _: None,
) -> str:
    """Execute one step of one instance.

    Args:
        fleet: The client of the fleet.
        plan: The plan, for deadlines, drain and stop.
        name: The name of the instance.
        step: The step.
        version: The name of the version that the instance gets.
        intended_admin: The state that this rollout has set for the server at the balancer.
        on_intent: Called with a state of the server that does not follow from the step alone: before
            a draining or returned server is put into maintenance, and after it was put back. The
            journal must know it, to tell this rollout's changes from those of others.

    Returns:
        The result, as a sentence for people.

    Raises:
        StepFailed: The step failed or did not end in time.
        SetBack: The instance must start over.
        HeldByOthers: Somebody else took the server out of the pool; nothing was changed there.
    """
    attempt = _StepAttempt(
        fleet, plan, name, version, intended_admin=intended_admin, on_intent=on_intent
    )
    deadline_s = plan.step_deadlines_s[step]
    if step is Step.RETURN:
        deadline_s += plan.min_ready_s
    try:
        async with asyncio.timeout(deadline_s):
            return await attempt.execute(step)
    except (SetBack, HeldByOthers):
        raise
    except TimeoutError:
        if attempt.held_admin is not None:
            raise HeldByOthers(attempt.held_admin) from None
        failure = StepFailed(f"not within {deadline_s:g} s{attempt.last_observation()}")
    except (Forbidden, Rejected, HostError) as error:
        failure = StepFailed(str(error))
    except StepFailed as error:
        failure = error
    except Exception as error:  # a defect: it fails this step, and does not end the rollout halfway
        failure = StepFailed(describe_unexpected(error))
    if step is Step.RETURN:
        await attempt.undo_return()
    raise failure


class _StepAttempt:
    """One attempt at one step.

    Attributes:
        held_admin: The state in which somebody else holds the server although it may soon be ready
            again, as while an agent lets the instance warm up; None when nobody holds it.
    """

    def __init__(
        self,
        fleet: FleetClient,
        plan: Plan,
        name: str,
        version: str,
        *,
        intended_admin: Admin,
        on_intent: Callable[[Admin], None],
    ) -> None:
        self._fleet = fleet
        self._plan = plan
        self._name = name
        self._version = version
        self._intended_admin = intended_admin
        self._on_intent = on_intent
        self._observation = ""
        self.held_admin: Admin | None = None

    def last_observation(self) -> str:
        """Return the last observation as the end of the message of a missed deadline."""
        return f"; last: {self._observation}" if self._observation else ""

    async def execute(self, step: Step) -> str:
        """Execute the step and return its result as a sentence."""
        match step:
            case Step.TAKE_OUT:
                return await self._take_out()
            case Step.STOP:
                return await self._stop()
            case Step.START:
                return await self._start()
            case Step.RETURN:
                return await self._return()
            case Step.DEPLOY | Step.VERIFY:
                return await self._run_command(step)

    # take out

    async def _take_out(self) -> str:
        """Drain the server: two consecutive polls must find no request in flight.

        One empty poll may be a gap between two requests.
        """
        drain = self._plan.drain
        state, server = await self._observe_server()
        self._refuse_held(server)
        if server.admin is Admin.MAINT:
            return "it was out already"
        self._intended_admin = Admin.DRAIN  # the journal's intent of this step implies it
        await self._tell_balancer(self._fleet.balancer.take_out)
        begun_s = _now_s()
        empty_poll_count, waited_s = 0, -1.0  # below 0: no poll yet
        while True:
            await asyncio.sleep(self._next_poll_s(waited_s, _now_s() - begun_s))
            new_state, server = await self._observe_server()
            if new_state.identity != state.identity:
                raise SetBack("the balancer was restarted or reloaded during the drain")
            if server.admin is Admin.READY:
                raise SetBack("the balancer sends it requests again")
            self._refuse_held(server)
            empty_poll_count = empty_poll_count + 1 if is_drained(server) else 0
            waited_s = _now_s() - begun_s
            self._observation = f"{server.sessions_count} requests in flight"
            if waited_s >= self._plan.stop.pre_stop_s:
                if server.is_up is False:
                    return "it is down: nothing to wait for"
                if empty_poll_count >= 2:
                    return f"drained in {waited_s:.1f} s"
            is_late = drain.on_timeout != "wait" and waited_s >= drain.timeout_s
            if is_late and empty_poll_count == 0:
                return await self._end_drain_at_timeout(server)

    def _next_poll_s(self, polled_s: float, now_s: float) -> float:
        """Return the seconds until the next poll of a drain.

        That is one polling interval, or less where the drain's timeout comes first, so that the
        drain ends at its timeout and not up to one interval later.
        """
        drain, poll_s = self._plan.drain, self._fleet.poll_s
        if drain.on_timeout == "wait" or polled_s >= drain.timeout_s:
            return poll_s
        return min(poll_s, max(0.0, drain.timeout_s - now_s))

    async def _end_drain_at_timeout(self, server: Server) -> str:
        """Cut the requests that are left, or fail the step where the plan says `abort`."""
        left = f"{server.sessions_count} requests in flight after {self._plan.drain.timeout_s:g} s"
        if self._plan.drain.on_timeout == "abort":
            raise StepFailed(left)
        self._announce(Admin.MAINT)
        await self._tell_balancer(self._fleet.balancer.remove)
        await self._tell_balancer(self._fleet.balancer.cut)
        return f"cut {left}"

    # stop

    async def _stop(self) -> str:
        """Put the server into maintenance, stop the instance and wait until it is not healthy."""
        await self._tell_balancer(self._fleet.balancer.remove)
        result = await self._run_command(Step.STOP)
        while (probed := await self._fleet.probe_instance(self._name)).healthy:
            self._observation = f"it still answers as {probed.version or 'healthy'}"
            await asyncio.sleep(self._fleet.poll_s)
        return result

    async def _run_command(self, step: Step) -> str:
        """Run the step's command, where the inventory has one."""
        target = self._fleet.targets[self._name]
        command = target.command(step, self._version)
        if command is None:
            return "no command"
        self._observation = f"{command[0]} runs"
        host = self._fleet.hosts[target.host]
        deadline_s = self._plan.step_deadlines_s[step]
        result = await host.run(command, deadline_s, self._fleet.environment)
        if result.exit_code != 0:
            output = self._last_line(result.output)
            raise StepFailed(f"{command[0]}: exit code {result.exit_code}: {output}")
        return f"{command[0]}: done"

    def _last_line(self, output: str) -> str:
        """Return the last line of an output without secrets, for journal and timeline."""
        for secret in self._fleet.environment.values():
            if secret:
                output = output.replace(secret, "…")
        return output.strip().splitlines()[-1][-200:] if output.strip() else "it said nothing"

    # start and return

    async def _start(self) -> str:
        await self._run_command(Step.START)
        await self._wait_for_version()
        return f"healthy, version {self._version}"

    async def _wait_for_version(self) -> None:
        """Probe the instance until it is healthy and answers with the version of this step."""
        while (
            deviation := (await self._fleet.probe_instance(self._name)).deviation_from(
                self._version
            )
        ) is not None:
            self._observation = deviation
            await asyncio.sleep(self._fleet.poll_s)

    async def _return(self) -> str:
        await self._wait_for_version()
        _, server = await self._observe_server()
        self._refuse_held(server)
        await self._tell_balancer(self._fleet.balancer.put_back)
        self._announce(Admin.READY)
        await self._wait_until_ready()
        return "up, with a check passed since"

    async def undo_return(self) -> None:
        """Take the server out of the pool again after a return that failed."""
        # Errors are suppressed, because the caller raises the step's own failure. Where the journal
        # cannot be written, the server must leave the pool all the same.
        with suppress(Exception):
            self._announce(Admin.MAINT)
        with suppress(Exception):
            await self._fleet.tell(self._fleet.balancer.remove, self._name)

    async def _wait_until_ready(self) -> None:
        """Wait until the server is up, with a fresh check, for `min_ready_s` without a break.

        Raises:
            StepFailed: At the end the instance is not healthy or answers with another version.
        """
        ready_s: float | None = None
        while True:
            _, server = await self._observe_server()
            if server.admin is Admin.MAINT:
                self._refuse_held(server)
            # An agent may report drain until the instance is warm, so a drain may pass.
            self.held_admin = server.admin if server.admin is Admin.DRAIN else None
            is_good = server.is_ready and server.is_checked is not False
            if not is_good:
                ready_s = None
                self._observation = f"the balancer has it {server.admin}, " + (
                    "down" if server.is_up is False else "without a fresh check"
                )
            elif ready_s is None:
                ready_s = _now_s()
            if ready_s is not None and _now_s() - ready_s >= self._plan.min_ready_s:
                deviation = (await self._fleet.probe_instance(self._name)).deviation_from(
                    self._version
                )
                if deviation is not None:
                    raise StepFailed(deviation)
                return
            await asyncio.sleep(self._fleet.poll_s)

    # the state that this rollout intends for the server

    def _announce(self, admin: Admin) -> None:
        """Report a new intended state of the server to the journal."""
        if admin is not self._intended_admin:
            self._intended_admin = admin
            self._on_intent(admin)

    def _refuse_held(self, server: Server) -> None:
        """Raise HeldByOthers where the server is further out of the pool than this rollout intends."""
        if is_held_by_others(self._intended_admin, server.admin):
            raise HeldByOthers(server.admin)

    # the balancer, which may be unreachable for a moment, as during a reload

    async def _observe_server(self) -> tuple[BalancerState, Server]:
        state = await self._retry_while_unreachable(self._fleet.observe)
        server = state.servers.get(self._fleet.targets[self._name].server)
        if server is None:
            raise StepFailed("the balancer no longer knows it")
        return state, server

    async def _tell_balancer(self, verb: Callable[[str], None]) -> None:
        await self._retry_while_unreachable(lambda: self._fleet.tell(verb, self._name))

    async def _retry_while_unreachable(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Repeat a call once a poll while the balancer does not answer, up to the step's deadline."""
        while True:
            try:
                return await call()
            except Unreachable as error:
                self._observation = str(error)
                await asyncio.sleep(self._fleet.poll_s)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
