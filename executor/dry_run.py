"""What a rollout would do to a fleet, in words, without doing any of it.

Enters: a plan, its fleet, and how far the rollout is. Leaves: the exact remaining_actions that are left, a line
each, in their order.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from executor.decide import changed_instances, waves_of
from executor.fleet.fleet_client import FleetClient
from executor.fleet.inventory import Inventory
from executor.plan.model import STEPS, Plan, Step
from executor.progress import Progress


def remaining_actions(
    plan: Plan, inventory: Inventory, hands: FleetClient, progress: Progress
) -> Iterator[str]:
    """The remaining_actions that are left.

    Args:
        plan: What is carried out.
        inventory: The fleet.
        hands: What would act on it.
        progress: How far it is; that of a new rollout is empty. What the fleet itself says against
            it is seen only when it is carried out.
    """
    is_back = progress.direction == "back"
    if is_back:
        yield f"back to version {inventory.versions.old}"
    elif progress.brake is not None:
        yield f"nothing new begins: {progress.brake}"
    version = inventory.versions.old if is_back else inventory.versions.new
    for number, wave in enumerate(waves_of(plan, progress), start=1):
        left = [name for name in wave.instances if _is_left(progress, name)]
        if left:
            yield f"wave {number}: {len(left)} instances, {wave.parallel} at once"
        for name in left:
            for step in STEPS[progress.of(name).done :]:
                words = step.replace("_", " ")
                for one in _actions_of(plan, hands, name, step, version):
                    yield f"  {name}  {words:<8}  {one}"
        if wave.gate is not None and number > progress.gates_passed and progress.brake is None:
            yield f"  gate: {wave.gate.kind} {wave.gate.pause_s:g} s"
    if progress.brake is not None and plan.on_failure == "rollback" and not is_back:
        back = Progress(direction="back", order=changed_instances(plan, progress))
        yield from remaining_actions(plan, inventory, hands, back)


def _is_left(progress: Progress, name: str) -> bool:
    """Whether something is still to be done with an instance."""
    one = progress.of(name)
    return one.is_under_way or (progress.brake is None and not one.is_over)


def _actions_of(plan: Plan, hands: FleetClient, name: str, step: Step, version: str) -> list[str]:
    target = hands.targets[name]
    said = hands.balancer.words
    right = f"GET {target.health_url()} until 2xx, {target.version_url()} until {version}"
    if step is Step.TAKE_OUT:
        until = f"until drained, at most {plan.drain.timeout_s:g} s, then {plan.drain.on_timeout}"
        if plan.drain.on_timeout == "wait":
            until = f"until drained, at most {plan.step_deadlines_s[step]:g} s"
        return [said("take_out", target.server), until]
    if step is Step.RETURN:
        return [right, said("put_back", target.server), "until up with a fresh check"]
    command = target.command(step, version)
    ran = [f"{target.host}: {shlex.join(command)}"] if command else ["no command"]
    if step is Step.STOP:
        return [said("remove", target.server), *ran, f"until {target.health_url()} is not 2xx"]
    return [*ran, right] if step is Step.START else ran
