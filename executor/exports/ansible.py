"""A plan as an Ansible playbook: one play for the waves between two bakes, in batches by `serial`.

Source: Ansible's playbook keywords, and runs of ansible-core 2.19. The next batch begins when the whole
batch is done. Ansible judges `max_fail_percentage` after every task, which would leave the other
hosts of a batch half done. So the six steps of a host are a block: when it fails, the other hosts go
on to the end, and only then does the play stop. The plan does not know what a step does: each step is
a file of tasks beside the playbook.
"""

from __future__ import annotations

import re
from itertools import pairwise

from executor.base.errors import Refused
from executor.exports.base import (
    NO_OPTIONS,
    Exported,
    ReleaseOptions,
    header,
    refuse_beside,
    unwatched_limits,
    whole_s,
)
from executor.exports.yaml_out import yaml_text
from executor.plan.model import STEPS, Gate, Plan, Wave

_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")  # other names are patterns to Ansible

_MISSING = "planned | difference(groups['all'])"
_FAILED = (
    "((planned | map('extract', hostvars) | selectattr('rollcast_failed', 'defined')"
    " | map(attribute='inventory_hostname') | list)"
    " + (ansible_play_hosts_all | difference(ansible_play_hosts))) | unique"
)
"""Hosts whose steps failed, and hosts that Ansible cannot reach any more."""


class Ansible:
    """An export as a playbook that rolls the hosts of the plan."""

    name = "ansible"
    title = "Ansible"
    about = "a playbook with serial batches"
    suffix = ".playbook.yaml"

    def render(self, plan: Plan, _options: ReleaseOptions = NO_OPTIONS) -> Exported:
        """Return the playbook.

        Raises:
            Refused: The plan makes new instances beside the old ones, or a name is a pattern to Ansible.
        """
        refuse_beside(plan, self.name)
        for host in plan.instances:
            if not _HOST.fullmatch(host):
                raise Refused(
                    f"ansible: instance {host}: Ansible would take the name for a pattern"
                )
        lost = tuple(_lost(plan))
        plays: list[dict[str, object]] = [_inventory_play(plan)]
        for waves in _split_at_bakes(plan.waves):
            plays.append(_play(plan, waves))
            gate = waves[-1].gate
            if gate is not None and waves[-1] is not plan.waves[-1]:
                plays.append(_pause_play(gate))
        text = header(plan, self, lost) + yaml_text(plays)
        return Exported(text, lost)

    def command(self, plan: Plan, file: str, _options: ReleaseOptions = NO_OPTIONS) -> str:
        """Return the command that runs the playbook, with as many forks as the window is wide."""
        return f"ansible-playbook -i INVENTORY {file} --forks {plan.window}"


def batches(waves: tuple[Wave, ...]) -> list[int]:
    """Return the sizes for `serial`: each wave in batches of its width; Ansible repeats the last size."""
    sizes: list[int] = []
    for wave in waves:
        whole, rest = divmod(len(wave.instances), wave.parallel)
        sizes += [wave.parallel] * whole + [rest] * (rest > 0)
    # The shortest list that gives these batches: [2, 2, 2] is [2].
    length = next(k for k in range(1, len(sizes) + 1) if _expand(sizes[:k], sum(sizes)) == sizes)
    return sizes[:length]


def _expand(serial: list[int], count: int) -> list[int]:
    """Return the batches that Ansible makes of a `serial` list for `count` hosts."""
    sizes: list[int] = []
    while count > 0:
        size = min(count, serial[min(len(sizes), len(serial) - 1)])
        sizes.append(size)
        count -= size
    return sizes


def _split_at_bakes(waves: tuple[Wave, ...]) -> list[tuple[Wave, ...]]:
    ends = [k for k, wave in enumerate(waves, 1) if wave.gate and wave.gate.kind == "bake"]
    cuts = sorted({0, *ends, len(waves)})
    return [waves[first:last] for first, last in pairwise(cuts)]


def _inventory_play(plan: Plan) -> dict[str, object]:
    """Return a first play that ends the run before any change where a host is missing."""
    return {
        "name": "The inventory holds the hosts of the plan",
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"planned": list(plan.instances)},
        "tasks": _guards_of_hosts(),
    }


def _guards_of_hosts() -> list[dict[str, object]]:
    """Return tasks that refuse an inventory without all hosts, and a --limit to a part of them."""
    return [
        {
            "name": "Every host of the plan is in the inventory",
            "ansible.builtin.assert": {
                "that": [f"({_MISSING}) | length == 0"],
                "fail_msg": f"not in the inventory: {{{{ {_MISSING} | join(', ') }}}}",
            },
            "run_once": True,
        },
        {
            "name": "No host of the plan is the name of a group, and no --limit leaves hosts out",
            "ansible.builtin.assert": {
                "that": [
                    "(planned | intersect(groups.keys() | list)) | length == 0",
                    "ansible_limit is not defined",
                ],
                "fail_msg": "a group has the name of a host of the plan, or --limit is given; the "
                "plan is for all its hosts",
            },
            "run_once": True,
        },
    ]


def _play(plan: Plan, waves: tuple[Wave, ...]) -> dict[str, object]:
    names = [name for wave in waves for name in wave.instances]
    steps: list[dict[str, object]] = [
        {
            "name": f"{step.replace('_', ' ').capitalize()} within {deadline_s:g} s",
            # `import_tasks`, not `include_tasks`: Ansible notices a missing file before any change.
            "ansible.builtin.import_tasks": f"{step.value}.yaml",
            "timeout": whole_s(deadline_s),
            "vars": {"deadline_s": deadline_s},
        }
        for step, deadline_s in ((step, plan.step_deadlines_s[step]) for step in STEPS)
    ]
    if plan.min_ready_s > 0:
        steps.append(_pause(f"Ready for {plan.min_ready_s:g} s", plan.min_ready_s))
    allowed = plan.max_failures if plan.on_failure == "continue" else 0
    tasks: list[dict[str, object]] = [
        {
            "name": "The six steps",
            "block": steps,
            "rescue": [
                {
                    "name": "It stays as it is, the others of its batch go on",
                    "ansible.builtin.set_fact": {"rollcast_failed": True},
                }
            ],
        },
        {
            "name": "Halt where more hosts failed than may",
            "ansible.builtin.fail": {"msg": f"halted, failed: {{{{ {_FAILED} | join(', ') }}}}"},
            "when": f"({_FAILED}) | length > {allowed}",
        },
    ]
    if plan.pause_s > 0 and len(names) > plan.window:
        last = {"when": "ansible_play_batch[-1] != ansible_play_hosts_all[-1]"}
        tasks.append(_pause("Pause before the next batch", plan.pause_s) | last)
    return {
        "name": f"Roll {len(names)} of {_without_braces(plan.service)}",
        "hosts": names,
        "gather_facts": False,
        # Set here, since ansible.cfg may have `free`, in which hosts of a batch do not wait for each other.
        "strategy": "linear",
        "order": "inventory",
        "any_errors_fatal": False,
        "serial": batches(waves),
        "max_fail_percentage": 0,
        "vars": {
            "planned": list(plan.instances),
            "drain_timeout_s": plan.drain.timeout_s,
            "pre_stop_s": plan.stop.pre_stop_s,
        },
        "pre_tasks": _guards_of_hosts(),
        "tasks": tasks,
    }


def _without_braces(text: str) -> str:
    """Return a text without the braces of Ansible's templates."""
    return text.replace("{", "(").replace("}", ")")


def _pause(name: str, seconds: float) -> dict[str, object]:
    return {
        "name": name,
        "ansible.builtin.pause": {"seconds": whole_s(seconds)},
        "run_once": True,
    }


def _pause_play(gate: Gate) -> dict[str, object]:
    return {
        "name": f"{gate.kind.capitalize()} of {gate.pause_s:g} s",
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [_pause("Wait", gate.pause_s)],
    }


def _lost(plan: Plan) -> list[str]:
    losses = [
        "the tasks: take_out.yaml, stop.yaml, deploy.yaml, verify.yaml, start.yaml and return.yaml "
        "beside the playbook say what a step does",
        "order: hosts come in the order of the Ansible inventory",
        "deadlines: hold for each task of a step; deadline_s is there for those of a whole step",
    ]
    if plan.advance == "sliding" and plan.window > 1:
        losses.insert(
            0,
            "advance (sliding): a batch is a barrier, the next begins when all of it is done, so it "
            "takes longer than predicted; simulate it with rollout.advance batch",
        )
    if plan.advance == "sliding" and plan.pause_s > 0:
        losses.append("pause: stands between batches, not between a return and the next start")
    if plan.min_in_pool > 0:
        losses.append(
            f"minimum in the pool ({plan.min_in_pool}): nobody counts who is up before a batch"
        )
    if any(wave.gate is not None and wave.gate.kind == "bake" for wave in plan.waves):
        losses.append("bakes: become pauses; what the new version answers in them is not judged")
    if plan.on_failure == "budget":
        losses.append("on failure (budget): it halts after the batch in which a host failed")
    if plan.on_failure == "rollback":
        losses.append("on failure (rollback): it halts after the batch, and nothing goes back")
    if plan.on_failure == "continue":
        losses.append(
            f"on failure (continue): a host that Ansible cannot reach counts as failed, and more than "
            f"{plan.max_failures} end the run after their batch"
        )
    if plan.retries > 0:
        losses.append(f"retries ({plan.retries}): a step that fails is not tried again")
    return [*losses, *unwatched_limits(plan)]
