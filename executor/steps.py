"""How each of the six steps is done to one instance, and how it is seen to be done.

Enters: an instance's name, a step, the version to bring. Leaves: what came of it in words, or
`StepFailed`, or `SetBack` when the ground has moved and the instance must start over. Every step
has the plan's deadline, and every one may be done twice without harm.
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
    """A step failed; the message says why."""


class SetBack(Exception):
    """What was done to the instance no longer holds; the message says what changed."""


class HeldByOthers(Exception):
    """Somebody else has taken the server out of the pool: it is theirs to give back."""

    def __init__(self, admin: Admin) -> None:
        super().__init__(f"somebody else put it into {admin}")


async def do_step(
    hands: FleetClient,
    plan: Plan,
    name: str,
    step: Step,
    version: str,
    *,
    told: Admin = Admin.READY,
    on_told: Callable[[Admin], None] = lambda _: None,
) -> str:
    """Does one step of one instance.

    Args:
        hands: What acts.
        plan: Deadlines and rules.
        name: The instance.
        step: What to do.
        version: The name of the version to bring.
        told: How this rollout has the server at the balancer.
        on_told: Called before a server that drains, or was returned, is put into maintenance, and
            after it was put back: what the beginning of the step does not say.

    Returns:
        What came of it, in words.

    Raises:
        StepFailed: It failed or did not end in time.
        SetBack: The instance must start over.
        HeldByOthers: Somebody else has taken the server out of the pool; it is left alone.
    """
    one = _OneStep(hands, plan, name, version, told=told, on_told=on_told)
    deadline_s = plan.step_deadlines_s[step]
    if step is Step.RETURN:
        deadline_s += plan.min_ready_s
    try:
        async with asyncio.timeout(deadline_s):
            return await one.done(step)
    except (SetBack, HeldByOthers):
        raise
    except TimeoutError:
        if one.held_in is not None:
            raise HeldByOthers(one.held_in) from None
        failed = StepFailed(f"not within {deadline_s:g} s{one.last()}")
    except (Forbidden, Rejected, HostError) as error:
        failed = StepFailed(str(error))
    except StepFailed as error:
        failed = error
    except Exception as error:  # a defect: it fails this step, and does not end the rollout halfway
        failed = StepFailed(describe_unexpected(error))
    if step is Step.RETURN:
        await one.out_again()
    raise failed


class _OneStep:
    """One try of one step.

    Attributes:
        held_in: How somebody else has the server, where that may pass; None when nobody has.
    """

    def __init__(
        self,
        hands: FleetClient,
        plan: Plan,
        name: str,
        version: str,
        *,
        told: Admin,
        on_told: Callable[[Admin], None],
    ) -> None:
        self._hands = hands
        self._plan = plan
        self._name = name
        self._version = version
        self._told = told
        self._on_told = on_told
        self._seen = ""
        self.held_in: Admin | None = None

    def last(self) -> str:
        """What was seen last, to be told with a deadline."""
        return f"; last: {self._seen}" if self._seen else ""

    async def done(self, step: Step) -> str:
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
                return await self._command(step)

    # take out

    async def _take_out(self) -> str:
        hands, drain = self._hands, self._plan.drain
        state, server = await self._server()
        self._refuse_held(server)
        if server.admin is Admin.MAINT:
            return "it was out already"
        self._told = Admin.DRAIN  # as the intent of this step says
        await self._tell(hands.balancer.take_out)
        begun_s = _now_s()
        idle_count, waited_s = 0, -1.0  # nobody has looked yet
        while True:
            await asyncio.sleep(self._until_next_look_s(waited_s, _now_s() - begun_s))
            now, server = await self._server()
            if now.identity != state.identity:
                raise SetBack("the balancer was restarted or reloaded during the drain")
            if server.admin is Admin.READY:
                raise SetBack("the balancer sends it requests again")
            self._refuse_held(server)
            idle_count = idle_count + 1 if is_drained(server) else 0
            waited_s = _now_s() - begun_s
            self._seen = f"{server.sessions_count} requests in flight"
            if waited_s >= self._plan.stop.pre_stop_s:
                if server.is_up is False:
                    return "it is down: nothing to wait for"
                if idle_count >= 2:
                    return f"drained in {waited_s:.1f} s"
            if drain.on_timeout != "wait" and waited_s >= drain.timeout_s and idle_count == 0:
                return await self._at_timeout(server)

    def _until_next_look_s(self, looked_s: float, now_s: float) -> float:
        """One poll, or less where the drain's timeout comes first: it is to end then, not later."""
        drain, poll_s = self._plan.drain, self._hands.poll_s
        if drain.on_timeout == "wait" or looked_s >= drain.timeout_s:
            return poll_s
        return min(poll_s, max(0.0, drain.timeout_s - now_s))

    async def _at_timeout(self, server: Server) -> str:
        left = f"{server.sessions_count} requests in flight after {self._plan.drain.timeout_s:g} s"
        if self._plan.drain.on_timeout == "abort":
            raise StepFailed(left)
        self._note_told(Admin.MAINT)
        await self._tell(self._hands.balancer.remove)
        await self._tell(self._hands.balancer.cut)
        return f"cut {left}"

    # stop

    async def _stop(self) -> str:
        await self._tell(self._hands.balancer.remove)
        said = await self._command(Step.STOP)
        while (direct := await self._hands.probe_instance(self._name)).healthy:
            self._seen = f"it still answers as {direct.version or 'healthy'}"
            await asyncio.sleep(self._hands.poll_s)
        return said

    async def _command(self, step: Step) -> str:
        """Runs the step's command, where it has one."""
        target = self._hands.targets[self._name]
        command = target.command(step, self._version)
        if command is None:
            return "no command"
        self._seen = f"{command[0]} runs"
        host = self._hands.hosts[target.host]
        deadline_s = self._plan.step_deadlines_s[step]
        ran = await host.run(command, deadline_s, self._hands.environment)
        if ran.exit_code != 0:
            output = self._without_secrets(ran.output)
            raise StepFailed(f"{command[0]}: exit code {ran.exit_code}: {output}")
        return f"{command[0]}: done"

    def _without_secrets(self, output: str) -> str:
        """The last line of an output, which goes into journal and timeline."""
        for secret in self._hands.environment.values():
            if secret:
                output = output.replace(secret, "…")
        return output.strip().splitlines()[-1][-200:] if output.strip() else "it said nothing"

    # start and return

    async def _start(self) -> str:
        await self._command(Step.START)
        await self._until_right()
        return f"healthy, version {self._version}"

    async def _until_right(self) -> None:
        """Until the instance itself says that it is healthy and of the right version."""
        while (
            lacks := (await self._hands.probe_instance(self._name)).deviation_from(self._version)
        ) is not None:
            self._seen = lacks
            await asyncio.sleep(self._hands.poll_s)

    async def _return(self) -> str:
        await self._until_right()
        _, server = await self._server()
        self._refuse_held(server)
        await self._tell(self._hands.balancer.put_back)
        self._note_told(Admin.READY)
        await self._until_ready()
        return "up, with a check passed since"

    async def out_again(self) -> None:
        """What could not be returned for good must not stay in the pool."""
        # The step's own reason is the one to tell, and a journal that cannot be written is no
        # reason to leave it in the pool.
        with suppress(Exception):
            self._note_told(Admin.MAINT)
        with suppress(Exception):
            await self._hands.tell(self._hands.balancer.remove, self._name)

    async def _until_ready(self) -> None:
        """Up for `min_ready`, with a fresh check, and still the right version at the end."""
        ready_s: float | None = None
        while True:
            _, server = await self._server()
            if server.admin is Admin.MAINT:
                self._refuse_held(server)
            # An agent may say drain until the instance is warm.
            self.held_in = server.admin if server.admin is Admin.DRAIN else None
            good = server.is_ready and server.is_checked is not False
            if not good:
                ready_s = None
                self._seen = f"the balancer has it {server.admin}, " + (
                    "down" if server.is_up is False else "without a fresh check"
                )
            elif ready_s is None:
                ready_s = _now_s()
            if ready_s is not None and _now_s() - ready_s >= self._plan.min_ready_s:
                lacks = (await self._hands.probe_instance(self._name)).deviation_from(self._version)
                if lacks is not None:
                    raise StepFailed(lacks)
                return
            await asyncio.sleep(self._hands.poll_s)

    # who has the server

    def _note_told(self, admin: Admin) -> None:
        if admin is not self._told:
            self._told = admin
            self._on_told(admin)

    def _refuse_held(self, server: Server) -> None:
        """Raise HeldByOthers where the server is further out than this rollout has told."""
        if is_held_by_others(self._told, server.admin):
            raise HeldByOthers(server.admin)

    # the balancer, which may be away for a moment

    async def _server(self) -> tuple[BalancerState, Server]:
        state = await self._patiently(self._hands.observe)
        server = state.servers.get(self._hands.targets[self._name].server)
        if server is None:
            raise StepFailed("the balancer no longer knows it")
        return state, server

    async def _tell(self, verb: Callable[[str], None]) -> None:
        await self._patiently(lambda: self._hands.tell(verb, self._name))

    async def _patiently(self, what: Callable[[], Awaitable[Answer]]) -> Answer:
        """Again and again while the balancer does not answer, until the step's deadline."""
        while True:
            try:
                return await what()
            except Unreachable as error:
                self._seen = str(error)
                await asyncio.sleep(self._hands.poll_s)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
