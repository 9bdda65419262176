"""A plan as an Ansible playbook: a play for what lies between two bakes, in batches by `serial`.

Source: Ansible's playbook keywords. A batch is a barrier: the next begins when the whole batch is done.
What a step does is not the plan's to know: each is a file of tasks beside the playbook.
"""

from __future__ import annotations

from itertools import pairwise

from executor.exports.base import (
    NO_OPTIONS,
    Exported,
    ReleaseOptions,
    header,
    refuse_beside,
    unwatched,
    whole_s,
)
from executor.exports.yaml_out import yaml_text
from executor.plan import STEPS, Gate, Plan, Wave


class Ansible:
    """A playbook that rolls the hosts of the plan."""

    name = "ansible"
    words = "Ansible: a playbook with serial batches"
    suffix = ".playbook.yaml"

    def render(self, plan: Plan, _options: ReleaseOptions = NO_OPTIONS) -> Exported:
        """The playbook.

        Raises:
            Refused: The plan makes new instances beside the old ones.
        """
        refuse_beside(plan, self.name)
        lost = tuple(_lost(plan))
        plays: list[dict[str, object]] = []
        for waves in _between_bakes(plan.waves):
            plays.append(_play(plan, waves))
            gate = waves[-1].gate
            if gate is not None and waves[-1] is not plan.waves[-1]:
                plays.append(_pause_play(gate))
        text = header(plan, self, lost) + yaml_text(plays)
        return Exported(text, lost)

    def command(self, plan: Plan, file: str, _options: ReleaseOptions = NO_OPTIONS) -> str:
        """How the playbook is run: as many forks as the window has places."""
        return f"ansible-playbook -i INVENTORY {file} --forks {plan.window}"


def batches(waves: tuple[Wave, ...]) -> list[int]:
    """The sizes for `serial`: waves in batches of their width; the last entry repeats."""
    sizes: list[int] = []
    for wave in waves:
        whole, rest = divmod(len(wave.instances), wave.parallel)
        sizes += [wave.parallel] * whole + [rest] * (rest > 0)
    short = next(k for k in range(1, len(sizes) + 1) if _spelt_out(sizes[:k], sum(sizes)) == sizes)
    return sizes[:short]


def _spelt_out(serial: list[int], count: int) -> list[int]:
    """The batches that Ansible makes of a list for so many hosts."""
    sizes: list[int] = []
    while count > 0:
        size = min(count, serial[min(len(sizes), len(serial) - 1)])
        sizes.append(size)
        count -= size
    return sizes


def _between_bakes(waves: tuple[Wave, ...]) -> list[tuple[Wave, ...]]:
    ends = [k for k, wave in enumerate(waves, 1) if wave.gate and wave.gate.kind == "bake"]
    cuts = sorted({0, *ends, len(waves)})
    return [waves[first:last] for first, last in pairwise(cuts)]


def _play(plan: Plan, waves: tuple[Wave, ...]) -> dict[str, object]:
    names = [name for wave in waves for name in wave.instances]
    tasks: list[dict[str, object]] = [
        {
            "name": f"{step.replace('_', ' ').capitalize()} within {deadline_s:g} s",
            "ansible.builtin.include_tasks": f"{step.value}.yaml",
            "vars": {"deadline_s": deadline_s},
        }
        for step, deadline_s in ((one, plan.step_deadlines_s[one]) for one in STEPS)
    ]
    pause_s = plan.min_ready_s
    if pause_s > 0:
        tasks.append(_pause(f"Ready for {pause_s:g} s", pause_s))
    if plan.pause_s > 0 and len(names) > plan.window:
        last = {"when": "ansible_play_batch[-1] != ansible_play_hosts_all[-1]"}
        tasks.append(_pause("Pause before the next batch", plan.pause_s) | last)
    return {
        "name": f"Roll {len(names)} of {plan.service}",
        "hosts": names,
        "gather_facts": False,
        "serial": batches(waves),
        "max_fail_percentage": 0,
        "vars": {"drain_timeout_s": plan.drain.timeout_s, "pre_stop_s": plan.stop.pre_stop_s},
        "tasks": tasks,
    }


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
    found = [
        "the tasks: take_out.yaml, stop.yaml, deploy.yaml, verify.yaml, start.yaml and return.yaml "
        "beside the playbook say what a step does",
        "order: hosts come in the order of the Ansible inventory",
        "deadlines: are handed to the tasks as deadline_s, which must mind them",
    ]
    if plan.advance == "sliding" and plan.window > 1:
        found.insert(
            0,
            "advance (sliding): a batch is a barrier, the next begins when all of it is done, so it "
            "takes longer than predicted; simulate it with rollout.advance batch",
        )
    if plan.advance == "sliding" and plan.pause_s > 0:
        found.append("pause: stands between batches, not between a return and the next start")
    if plan.min_in_pool > 0:
        found.append(
            f"minimum in the pool ({plan.min_in_pool}): nobody counts who is up before a batch"
        )
    if any(wave.gate is not None and wave.gate.kind == "bake" for wave in plan.waves):
        found.append("bakes: become pauses; what the new version answers in them is not judged")
    if plan.on_failure != "halt" or plan.retries > 0:
        found.append(
            f"on failure ({plan.on_failure}, {plan.retries} retries): one failed host stops it after "
            "its batch"
        )
    return [*found, *unwatched(plan)]
