"""List the actions that a rollout would take, as lines for people, without taking any."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from executor.decide import changed_instances, waves_of
from executor.fleet.fleet_client import FleetClient
from executor.fleet.inventory import Inventory
from executor.plan.model import STEPS, Plan, Step
from executor.progress import Progress


def remaining_actions(
    plan: Plan, inventory: Inventory, fleet: FleetClient, progress: Progress
) -> Iterator[str]:
    """Yield a line for each remaining action, in their order.

    Args:
        plan: The plan.
        inventory: The inventory of the fleet.
        fleet: The client of the fleet, for the words of the commands.
        progress: The progress that the journal records; empty for a new rollout. Where the fleet
            differs from the journal, only the rollout itself notices it.
    """
    is_back = progress.direction == "back"
    if is_back:
        yield f"back to version {inventory.versions.old}"
    elif progress.brake is not None:
        yield f"nothing new begins: {progress.brake}"
    version = inventory.versions.old if is_back else inventory.versions.new
    for number, wave in enumerate(waves_of(plan, progress), start=1):
        unfinished = [name for name in wave.instances if _is_left(progress, name)]
        if unfinished:
            yield f"wave {number}: {len(unfinished)} instances, {wave.parallel} at once"
        for name in unfinished:
            for step in STEPS[progress.of(name).done :]:
                label = step.replace("_", " ")
                for action in _actions_of(plan, fleet, name, step, version):
                    yield f"  {name}  {label:<8}  {action}"
        if wave.gate is not None and number > progress.gates_passed and progress.brake is None:
            yield f"  gate: {wave.gate.kind} {wave.gate.pause_s:g} s"
    if progress.brake is not None and plan.on_failure == "rollback" and not is_back:
        back = Progress(direction="back", order=changed_instances(plan, progress))
        yield from remaining_actions(plan, inventory, fleet, back)


def _is_left(progress: Progress, name: str) -> bool:
    """Return whether an instance has steps left."""
    instance = progress.of(name)
    return instance.is_under_way or (progress.brake is None and not instance.is_over)


def _actions_of(plan: Plan, fleet: FleetClient, name: str, step: Step, version: str) -> list[str]:
    target = fleet.targets[name]
    command_of = fleet.balancer.words
    probe = f"GET {target.health_url()} until 2xx, {target.version_url()} until {version}"
    if step is Step.TAKE_OUT:
        until = f"until drained, at most {plan.drain.timeout_s:g} s, then {plan.drain.on_timeout}"
        if plan.drain.on_timeout == "wait":
            until = f"until drained, at most {plan.step_deadlines_s[step]:g} s"
        return [command_of("take_out", target.server), until]
    if step is Step.RETURN:
        return [probe, command_of("put_back", target.server), "until up with a fresh check"]
    command = target.command(step, version)
    commands = [f"{target.host}: {shlex.join(command)}"] if command else ["no command"]
    if step is Step.STOP:
        return [
            command_of("remove", target.server),
            *commands,
            f"until {target.health_url()} is not 2xx",
        ]
    return [*commands, probe] if step is Step.START else commands
