"""The exported playbook, really run by ansible-core on hosts that are this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from executor.exports.targets import target_of
from executor.plan.model import STEPS, Step
from tests.helpers.plans import example_plan

HOSTS = tuple(f"checkout-{number}" for number in range(1, 7))
TASK = """\
- name: {step} here
  ansible.builtin.shell: 'echo "{{{{ inventory_hostname }}}} {step}" >> "{log}"'
- name: {step} fails on some
  ansible.builtin.fail: {{msg: as asked}}
  when: inventory_hostname in {failing} and "{step}" == "deploy"
"""


class Playbook:
    """An exported plan in a folder, with steps that only say that they were done."""

    def __init__(self, folder: Path, failing: Sequence[str] = (), **changes: Any) -> None:
        self.folder = folder
        target = target_of("ansible")
        (folder / "p.yaml").write_text(target.render(example_plan(**changes)).text)
        for step in STEPS:
            text = TASK.format(step=step.value, log=folder / "log", failing=list(failing))
            (folder / f"{step.value}.yaml").write_text(text)
        (folder / "log").touch()

    def inventory(self, hosts: Sequence[str], more: str = "") -> None:
        lines = [
            f"{host} ansible_connection=local ansible_python_interpreter={sys.executable}"
            for host in hosts
        ]
        (self.folder / "hosts").write_text("\n".join(["[fleet]", *lines, more]) + "\n")

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).with_name("ansible-playbook")
        environment = os.environ | {
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
        }
        return subprocess.run(
            [program, "-i", "hosts", "p.yaml", "--forks", "2", *options],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def done(self) -> dict[str, list[str]]:
        """The steps of each host, in the order in which hosts began."""
        steps: dict[str, list[str]] = {}
        for line in (self.folder / "log").read_text().splitlines():
            host, step = line.split()
            steps.setdefault(host, []).append(step)
        return steps


ALL = [step.value for step in STEPS]
UNTIL_DEPLOY = ALL[:3]

pytestmark = pytest.mark.slow


def test_every_host_goes_through_the_six_steps_in_batches(tmp_path: Path) -> None:
    playbook = Playbook(tmp_path)
    playbook.inventory(HOSTS)
    answer = playbook.run()
    assert answer.returncode == 0, answer.stdout
    assert playbook.done() == dict.fromkeys(HOSTS, ALL)


def test_the_mates_of_a_failed_host_are_back_in_the_pool_and_nothing_follows(
    tmp_path: Path,
) -> None:
    playbook = Playbook(tmp_path, failing=["checkout-3"])
    playbook.inventory(HOSTS)
    answer = playbook.run()
    assert answer.returncode != 0
    assert "halted, failed: checkout-3" in answer.stdout
    assert playbook.done() == {
        **dict.fromkeys(HOSTS[:2], ALL),
        "checkout-3": UNTIL_DEPLOY,
        "checkout-4": ALL,
    }


def test_what_the_users_own_configuration_says_does_not_matter(tmp_path: Path) -> None:
    playbook = Playbook(tmp_path, failing=["checkout-3"])
    playbook.inventory(HOSTS)
    (tmp_path / "ansible.cfg").write_text("[defaults]\nstrategy = free\nany_errors_fatal = True\n")
    assert playbook.run().returncode != 0
    done = playbook.done()
    assert done == dict.fromkeys([*HOSTS[:2], "checkout-4"], ALL) | {"checkout-3": UNTIL_DEPLOY}


def test_nothing_begins_where_the_tasks_of_a_step_are_missing(tmp_path: Path) -> None:
    playbook = Playbook(tmp_path)
    playbook.inventory(HOSTS)
    (tmp_path / "return.yaml").unlink()
    assert playbook.run().returncode != 0
    assert playbook.done() == {}


def test_a_task_that_hangs_is_ended_by_its_deadline(tmp_path: Path) -> None:
    deadlines = dict.fromkeys(STEPS, 40.0) | {Step.DEPLOY: 1.0}
    playbook = Playbook(tmp_path, step_deadlines_s=deadlines)
    playbook.inventory(HOSTS)
    hang = '- ansible.builtin.command: sleep 15\n  when: inventory_hostname == "checkout-2"\n'
    (tmp_path / "deploy.yaml").write_text(hang)
    answer = playbook.run()
    assert answer.returncode != 0
    assert "halted, failed: checkout-2" in answer.stdout
    assert set(playbook.done()) == set(HOSTS[:2])


@pytest.mark.parametrize(
    ("failing", "begun"), [(["checkout-3"], 6), (["checkout-1", "checkout-3"], 4)]
)
def test_as_many_may_fail_as_the_plan_allows(
    tmp_path: Path, failing: list[str], begun: int
) -> None:
    playbook = Playbook(tmp_path, failing=failing, on_failure="continue", max_failures=1)
    playbook.inventory(HOSTS)
    answer = playbook.run()
    done = playbook.done()
    assert (answer.returncode == 0) == (len(failing) == 1)
    assert set(done) == set(HOSTS[:begun])
    assert {host: steps for host, steps in done.items() if steps != ALL} == dict.fromkeys(
        failing, UNTIL_DEPLOY
    )


@pytest.mark.parametrize(
    ("hosts", "more", "options"),
    [
        (HOSTS[:5], "", ()),
        (("other-1",), "", ()),
        (HOSTS, "[checkout-2]\nother-1 ansible_connection=local", ()),
        (HOSTS, "", ("--limit", "checkout-1,checkout-2,localhost")),
        (HOSTS, "", ("--limit", "checkout-1")),
    ],
    ids=["one is missing", "none is there", "a group by its name", "a limit", "a limit without"],
)
def test_a_part_of_the_fleet_is_not_rolled(
    tmp_path: Path, hosts: Sequence[str], more: str, options: Sequence[str]
) -> None:
    playbook = Playbook(tmp_path)
    playbook.inventory(hosts, more)
    answer = playbook.run(*options)
    assert answer.returncode != 0, answer.stdout
    assert playbook.done() == {}


def test_the_syntax_is_ansibles(tmp_path: Path) -> None:
    playbook = Playbook(tmp_path, min_ready_s=2.5, pause_s=5.0)
    playbook.inventory(HOSTS)
    answer = playbook.run("--syntax-check")
    assert answer.returncode == 0, answer.stderr
