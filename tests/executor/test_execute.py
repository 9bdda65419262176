"""Plans carried out on real instances behind a real HAProxy, and what goes wrong meanwhile."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from executor.events import RolloutEnded, RolloutStarted, StepEnded, parse_event
from executor.fleet.balancers.haproxy import HAProxy
from executor.fleet.inventory import HAProxySpec
from executor.plan.model import STEPS, Step
from executor.progress import EventKind
from executor.records.journal import Journal
from tests.helpers.fleet import ENDS_WITHIN_S, ROOT, Fleet, fleet, line_with, load
from tests.helpers.haproxy import until
from tests.helpers.instance import is_zombie
from tests.helpers.pipes import drained, filled
from tests.helpers.sshd import sshd

pytestmark = pytest.mark.slow

DYING = str(ROOT / "tests" / "helpers" / "dying_executor.py")


@pytest.fixture
def six(tmp_path: Path) -> Iterator[Fleet]:
    with fleet(tmp_path) as made:
        yield made


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Fleet]:
    with fleet(tmp_path, 3) as made:
        made.plans(min_in_pool=1)
        yield made


def must_be_all(made: Fleet, version: str) -> None:
    assert made.versions() == [version] * len(made.names)
    assert made.admin() == ["ready"] * len(made.names)


def events(made: Fleet) -> list[tuple[str, str, str]]:
    journal = Journal.open(made.journal)
    try:
        return [
            (e.kind.value, e.instance, (e.step or "").replace("_", " ")) for e in journal.events()
        ]
    finally:
        journal.close()


def test_a_plan_is_carried_out_under_load_without_a_failed_request(six: Fleet) -> None:
    with load(six.haproxy.port) as asked:
        done = six.execute()
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    must_be_all(six, "1.1")
    assert len(asked.statuses) > 100
    assert set(asked.statuses) == {200}
    for name in six.names:
        assert six.commands(name) == ["stop", "deploy 1.1", "verify 1.1", "start"]
    told = six.timeline()
    assert told["ended"] == "done"
    begun = [one["instance"] for one in told["steps"] if one["step"] == "take_out"]
    assert begun == six.names
    assert min(sample["in_pool_count"] for sample in told["samples"]) >= 4
    assert six.journal.stat().st_mode & 0o777 == 0o600


BOUNDARIES = [
    pytest.param("intent", "before", id="before the intent"),
    pytest.param("intent", "after", id="after the intent"),
    pytest.param("done", "before", id="after the act"),
    pytest.param("done", "after", id="after the record"),
]


@pytest.mark.parametrize("step", ["stop", "return"])
@pytest.mark.parametrize(("kind", "when"), BOUNDARIES)
def test_killed_with_9_and_resumed_all_are_new_and_in_the_pool(
    three: Fleet, kind: str, when: str, step: str
) -> None:
    words = three.command()[3:]
    killed = subprocess.run(
        [sys.executable, DYING, kind, step, when, *words],
        cwd=ROOT,
        env={**three.environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=ENDS_WITHIN_S,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    refused = three.execute()
    assert refused.returncode == 3
    assert "go on with --resume" in refused.stderr
    done = three.execute("--resume")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    must_be_all(three, "1.1")
    for name in three.names:
        made = [step for kind, one, step in events(three) if (kind, one) == ("done", name)]
        assert made == [step.replace("_", " ") for step in STEPS]
        commands = three.commands(name)
        assert list(dict.fromkeys(commands)) == ["stop", "deploy 1.1", "verify 1.1", "start"]


def test_killed_in_the_middle_of_a_command_and_resumed(three: Fleet) -> None:
    (three.of("checkout-2") / "fault").write_text("deploy hangs")
    with three.executing() as running:
        until(lambda: "deploy 1.1" in three.commands("checkout-2"), "the command hangs")
        running.kill()
        running.wait()
    (three.of("checkout-2") / "fault").unlink()
    done = three.execute("--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    must_be_all(three, "1.1")
    assert three.commands("checkout-2").count("deploy 1.1") == 2


# Faults, one by one


def test_haproxy_reloaded_in_the_middle(three: Fleet) -> None:
    with three.executing() as running:
        until(lambda: "maint" in three.admin(), "an instance is out")
        three.haproxy.reload()
        out, _ = running.communicate(timeout=ENDS_WITHIN_S)
    assert running.returncode == 0, out
    assert "the balancer was restarted or reloaded" in out
    must_be_all(three, "1.1")


def test_haproxy_restarted_in_the_middle(three: Fleet) -> None:
    with three.executing() as running:
        until(lambda: "maint" in three.admin(), "an instance is out")
        three.haproxy.stop()
        three.haproxy.start()
        out, _ = running.communicate(timeout=ENDS_WITHIN_S)
    assert running.returncode == 0, out
    must_be_all(three, "1.1")


def test_the_socket_gone_in_the_middle_and_back(three: Fleet) -> None:
    path = three.haproxy.socket
    with three.executing() as running:
        until(lambda: "maint" in three.admin(), "an instance is out")
        path.rename(path.with_suffix(".away"))
        line_with("there is no such socket", running)
        beats: set[str] = set()

        def has_looked_in_vain() -> bool:
            beats.add(next((three.folder / "state").glob("*.lock")).read_text())
            return len(beats) > 20

        until(has_looked_in_vain, "it has looked again and again")
        path.with_suffix(".away").rename(path)
        out, _ = running.communicate(timeout=ENDS_WITHIN_S)
    assert running.returncode == 0, out
    must_be_all(three, "1.1")
    told = three.timeline()
    away_s, back_s = (
        next(e["t_s"] for e in told["events"] if words in e["said"])
        for words in ("there is no such socket", "or answers again")
    )
    assert back_s - away_s > 0.5
    assert [one for one in told["steps"] if away_s <= one["begin_s"] < back_s] == []
    assert [one for one in told["steps"] if one["begin_s"] >= back_s] != []


NEVER_GOOD = [
    pytest.param(
        "never healthy", Step.START, "is not healthy: health answered 503", id="never healthy"
    ),
    pytest.param("says old", Step.START, "version (1.0) must be 1.1", id="the old version"),
    pytest.param("deploy hangs", Step.DEPLOY, "not within 5 s", id="a command hangs"),
]


@pytest.mark.parametrize(("fault", "step", "said"), NEVER_GOOD)
@pytest.mark.parametrize("on_failure", ["halt", "rollback"])
def test_an_instance_that_never_becomes_right(
    three: Fleet, fault: str, step: Step, said: str, on_failure: str
) -> None:
    # The deadline is every instance's: short enough to wait for, long enough for the two good ones.
    deadlines = dict.fromkeys(STEPS, ENDS_WITHIN_S) | {step: 5.0}
    three.plans(min_in_pool=2, window=1, on_failure=on_failure, step_deadlines_s=deadlines)
    (three.of("checkout-2") / "fault").write_text(fault)
    with three.executing() as running:
        if on_failure == "rollback":
            until(lambda: '"given_up"' in str(told_of(three)) or told_back(three), "it is given up")
            (three.of("checkout-2") / "fault").unlink()
        out, _ = running.communicate(timeout=ENDS_WITHIN_S)
    assert said in out
    if on_failure == "halt":
        assert running.returncode == 4, out
        assert three.admin() == ["ready", "maint", "ready"]
        assert three.versions()[0] == "1.1"
        assert three.versions()[2] == "1.0"
        assert "Go on with: python -m executor execute" in out
    else:
        assert running.returncode == 5, out
        must_be_all(three, "1.0")


def told_of(made: Fleet) -> list[tuple[str, str, str]]:
    try:
        return events(made)
    except Exception:  # it is being made
        return []


def told_back(made: Fleet) -> bool:
    return any(kind in {"given_up", "turn_back"} for kind, _, _ in told_of(made))


def test_an_ssh_connection_cut_in_the_middle_of_a_rollout(three: Fleet) -> None:
    keys = three.folder / "keys"
    keys.mkdir()
    with sshd(keys) as server:
        ssh = {"address": "127.0.0.1", "port": server.port, "user": "deploy"}
        ssh |= {"known_hosts": str(server.known_hosts), "key": str(server.key)}
        three.lists(hosts={"far": {"ssh": ssh}})
        three.plans(min_in_pool=1, retries=1)
        (three.of("checkout-2") / "fault").write_text("deploy hangs")
        with three.executing() as running:
            until(lambda: "deploy 1.1" in three.commands("checkout-2"), "the command hangs")
            (three.of("checkout-2") / "fault").unlink()
            server.cut()
            out, _ = running.communicate(timeout=ENDS_WITHIN_S)
    assert running.returncode == 0, out
    assert "deploy  failed  ssh deploy@127.0.0.1" in out
    must_be_all(three, "1.1")


def test_a_command_that_fails_twice_and_then_works(three: Fleet) -> None:
    three.plans(min_in_pool=1, retries=2)
    (three.of("checkout-2") / "fault").write_text("deploy fails twice")
    done = three.execute()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("deploy  failed") == 2
    must_be_all(three, "1.1")
    assert three.commands("checkout-2").count("deploy 1.1") == 3


def test_a_bad_release_that_answers_errors_trips_the_guard_and_goes_back(six: Fleet) -> None:
    for name in six.names:
        (six.of(name) / "fault").write_text("errors")
    guards = {"error_fraction": 0.05, "over_s": 2.0}
    six.plans(guards=guards, on_failure="rollback", window=1, min_in_pool=5, pause_s=1.0)
    with load(six.haproxy.port) as asked:
        done = six.execute()
    assert done.returncode == 5, done.stdout + done.stderr
    assert "guard over 2 s: errors" in done.stdout
    must_be_all(six, "1.0")
    assert 500 in asked.statuses
    brakes = [e for e in six.timeline()["events"] if e["kind"] == "brake"]
    assert len(brakes) == 1
    assert len({one["instance"] for one in six.timeline()["steps"]}) < 6
    measured = six.timeline()["measured"]
    assert 0 < measured["failed_requests"] <= measured["exposure_requests"]
    answered = len(asked.statuses)
    assert measured["exposure_requests"] < answered


def test_nobody_reading_on_does_not_stop_a_rollout(three: Fleet) -> None:
    """Both streams are closed while it is at work; it ends as if somebody listened."""
    with three.executing() as running:
        assert running.stdout is not None
        running.stdout.readline()
        running.stdout.close()
        assert running.wait(timeout=ENDS_WITHIN_S) == 0
        running.stdout = None  # communicate would read it
    assert three.timeline()["ended"] == "done"
    must_be_all(three, "1.1")


def test_a_reader_who_does_not_read_on_holds_nothing_up(three: Fleet) -> None:
    """As a stopped pager, or `| sleep 1000`: both streams go into a pipe that is full."""
    reading, writing = os.pipe()
    try:
        before = filled(writing)
        done = subprocess.run(
            three.command(),
            cwd=ROOT,
            env=three.environment(),
            stdout=writing,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0
        assert len(drained(reading)) == before  # not a word came through
    finally:
        os.close(reading)
        os.close(writing)
    assert three.timeline()["ended"] == "done"
    must_be_all(three, "1.1")


def test_what_was_given_up_is_named_in_the_end(three: Fleet) -> None:
    deadlines = dict.fromkeys(STEPS, ENDS_WITHIN_S) | {Step.DEPLOY: 5.0}
    three.plans(min_in_pool=1, on_failure="continue", max_failures=1, step_deadlines_s=deadlines)
    (three.of("checkout-2") / "fault").write_text("deploy hangs")
    done = three.execute("-q")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[:2] == [
        "done: every instance that was rolled is in the pool with the new version",
        "Given up and out of the pool: checkout-2 (deploy failed 1 times)",
    ]
    assert three.admin() == ["ready", "maint", "ready"]


def test_two_executors_at_once(three: Fleet) -> None:
    (three.of("checkout-1") / "fault").write_text("deploy hangs")
    with three.executing() as running:
        until(lambda: "deploy 1.1" in three.commands("checkout-1"), "the first is at work")
        for options in ((), ("--resume",), ("--take-over",), ("--resume", "--take-over")):
            second = three.execute(*options)
            assert second.returncode == 3, second.stdout
            assert "another executor is at work on this fleet: process" in second.stderr
            assert str(running.pid) in second.stderr


def test_a_stale_lock_is_taken_over_only_when_asked(three: Fleet) -> None:
    killed = subprocess.run(
        [sys.executable, DYING, "intent", "stop", "after", *three.command()[3:]],
        cwd=ROOT,
        env={**three.environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        timeout=ENDS_WITHIN_S,
    )
    assert killed.returncode == -signal.SIGKILL
    other = ("--journal", str(three.folder / "other.journal"))
    refused = three.execute(*other)
    assert refused.returncode == 3
    assert "the lock is stale" in refused.stderr
    assert "--take-over" in refused.stderr
    taken = three.execute(*other, "--take-over")
    assert taken.returncode == 3
    assert "nothing was touched" in taken.stderr  # half a rollout is no fleet to begin with
    assert "the lock is stale" in three.execute(*other).stderr  # and nothing has changed that
    assert three.execute("--resume", "--take-over").returncode == 0
    must_be_all(three, "1.1")


def test_the_disk_full_under_the_journal(three: Fleet) -> None:
    limited = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (49152, 49152)); "
    )
    limited += "sys.argv[0] = 'executor'; runpy.run_module('executor', run_name='__main__')"
    words = three.command()[3:]
    full = subprocess.run(
        [sys.executable, "-c", limited, *words],
        cwd=ROOT,
        env=three.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=ENDS_WITHIN_S,
    )
    assert full.returncode == 4, full.stdout + full.stderr
    assert "the journal cannot be written" in full.stderr
    assert "Traceback" not in full.stderr
    assert full.stderr.count("\n") == 1
    begun = [(step, one) for kind, one, step in events(three) if kind == "intent"]
    for name in three.names:
        ran = [line.split()[0] for line in three.commands(name)]
        meant = [step for step, one in begun if one == name]
        assert ran == [step for step in meant if step in {"stop", "deploy", "verify", "start"}]
        version = (three.of(name) / "version").read_text()
        assert version == ("1.1" if "deploy" in meant else "1.0")  # what was begun has finished
    done = three.execute("--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    must_be_all(three, "1.1")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_finishes_the_step_in_hand(three: Fleet, number: int) -> None:
    with three.executing() as running:
        until(lambda: "maint" in three.admin(), "an instance is out")
        running.send_signal(number)
        out, _ = running.communicate(timeout=ENDS_WITHIN_S)
    assert running.returncode == 130, out
    assert "stopping: the steps in hand are finished first" in out
    assert "The fleet:" in out
    command = out.split("Go on with: python ")[1].strip()
    made = [kind for kind, _, _ in events(three)]
    assert made.count("intent") == made.count("done")
    done = subprocess.run(
        [sys.executable, *command.split()],
        cwd=ROOT,
        env=three.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=ENDS_WITHIN_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    must_be_all(three, "1.1")


def test_started_with_interrupts_ignored_it_stops_all_the_same(three: Fleet) -> None:
    with three.executing(ignores="INT") as running:
        until(lambda: "maint" in three.admin(), "an instance is out")
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=ENDS_WITHIN_S)
    assert running.returncode == 130, out
    assert "Go on with: python " in out


def test_under_nohup_it_outlives_its_terminal(three: Fleet) -> None:
    with three.executing(ignores="HUP") as running:
        until(lambda: "maint" in three.admin(), "an instance is out")
        running.send_signal(signal.SIGHUP)
        out, _ = running.communicate(timeout=ENDS_WITHIN_S)
    assert running.returncode == 0, out
    must_be_all(three, "1.1")


def test_a_signal_before_anything_is_touched_says_so(three: Fleet) -> None:
    silent = three.folder / "silent.sock"
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(silent))
        deaf.listen()
        three.lists(
            balancer={"haproxy": {"socket": str(silent), "backend": "shop", "timeout_s": 5}}
        )
        with three.executing() as running:
            asked, _ = deaf.accept()
            with asked:
                running.send_signal(signal.SIGHUP)
                out, _ = running.communicate(timeout=ENDS_WITHIN_S)
    assert (running.returncode, out) == (130, "interrupted: nothing was touched\n")
    assert untouched(three)
    assert not three.journal.exists()


@pytest.mark.parametrize("after_s", [0.02 * number for number in range(20)])
def test_a_signal_at_any_moment_of_the_start_ends_the_executor(
    three: Fleet, after_s: float
) -> None:
    """It must not be lost, and what was not begun leaves no journal."""
    with three.executing() as running:
        with suppress(subprocess.TimeoutExpired):
            running.wait(after_s)
        running.send_signal(signal.SIGTERM)
        out, _ = running.communicate(timeout=ENDS_WITHIN_S)
    if running.returncode == -signal.SIGTERM:  # it did not handle signals yet
        assert (out, three.journal.exists()) == ("", False)
    else:
        assert running.returncode == 130, out
        untouched = "interrupted: nothing was touched\n"
        named = f"only backend shop of {three.folder}/admin.sock is told and watched\n"
        assert three.journal.exists() == (out not in (untouched, named + untouched))


def test_a_second_signal_stops_at_once(three: Fleet) -> None:
    (three.of("checkout-1") / "fault").write_text("deploy hangs")
    hanging: list[int] = []

    def hangs() -> bool:
        files = three.of("checkout-1").glob("hangs-*")
        hanging[:] = [int(path.name.removeprefix("hangs-")) for path in files]
        return bool(hanging) and not is_zombie(hanging[0])

    with three.executing() as running:
        until(hangs, "the command hangs")
        running.send_signal(signal.SIGINT)
        line_with("stopping", running)
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=ENDS_WITHIN_S)  # the command alone hangs for an hour
    assert running.returncode == 130, out
    assert "stopped at once" in out
    assert is_zombie(hanging[0])  # or it is gone altogether
    (three.of("checkout-1") / "fault").unlink()
    done = three.execute("--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    must_be_all(three, "1.1")


def test_a_drain_of_a_connection_that_never_ends_is_cut_at_the_timeout(three: Fleet) -> None:
    three.plans(min_in_pool=2, window=1, drain={"timeout_s": 0.5, "on_timeout": "cut"})
    import threading

    from tests.helpers.fleet import get

    answers: list[str | None] = []
    ask = [
        threading.Thread(target=lambda: answers.append(get(three.haproxy.port, "/slow")))
        for _ in range(3)
    ]
    for one in ask:
        one.start()

    def busy() -> bool:
        state = HAProxy(HAProxySpec(socket=three.haproxy.socket, backend="shop")).observe()
        return all(one.sessions_count for one in state.servers.values())

    until(busy, "every instance has a request that lasts")
    done = three.execute()
    for one in ask:
        one.join()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cut 1 requests in flight after 0.5 s" in done.stdout
    must_be_all(three, "1.1")


# Plans and fleets that are refused before anything is touched


def untouched(made: Fleet) -> bool:
    return made.versions() == ["1.0"] * len(made.names) and not any(map(made.commands, made.names))


@pytest.mark.parametrize(
    ("plans", "lists", "said"),
    [
        pytest.param({"created_at": "2020-01-01T00:00:00Z"}, {}, "validity", id="expired"),
        pytest.param(
            {"service": "search"}, {}, "must be the plan's (search)", id="another service"
        ),
        pytest.param(
            {"instances": ["a", "b", "c"]}, {}, "instances a, b, c must be in", id="another fleet"
        ),
        pytest.param(
            {},
            {"versions": {"old": "0.9", "new": "1.1"}},
            "version (1.0) must be 0.9",
            id="versions",
        ),
        pytest.param(
            {},
            {"balancer": {"haproxy": {"socket": "nowhere.sock", "backend": "shop"}}},
            "there is no such socket",
            id="no socket",
        ),
        pytest.param(
            {},
            {"balancer": {"haproxy": {"socket": "user.sock", "backend": "shop"}}},
            "level must be admin",
            id="level user",
        ),
        pytest.param(
            {},
            {"balancer": {"haproxy": {"socket": "admin.sock", "backend": "search"}}},
            "backend search must exist",
            id="another backend",
        ),
    ],
)
def test_refused_before_anything_is_touched(
    three: Fleet, plans: dict[str, Any], lists: dict[str, Any], said: str
) -> None:
    three.plans(**{"min_in_pool": 1, **plans})
    three.lists(**lists)
    done = three.execute()
    assert done.returncode == 3, done.stdout + done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert untouched(three)
    assert not three.journal.exists()
    three.plans(min_in_pool=1)
    three.lists()
    assert three.execute().returncode == 0  # nothing of it is left in the way


def test_too_few_up_for_the_window_is_refused(three: Fleet) -> None:
    HAProxy(HAProxySpec(socket=three.haproxy.socket, backend="shop")).remove("checkout-3")
    done = three.execute()
    assert done.returncode == 3
    assert "instances up (2) less the window (2) must not fall below the minimum (1)" in done.stderr
    assert untouched(three)


def test_a_dry_run_prints_the_exact_actions_and_does_none(three: Fleet) -> None:
    done = three.execute("--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert "  checkout-1  take out  set server shop/checkout-1 state drain" in done.stdout
    assert "  checkout-3  return    set server shop/checkout-3 state ready" in done.stdout
    assert f"deploy {three.of('checkout-2')} {three.ports['checkout-2']} 1.1" in done.stdout
    assert untouched(three)
    assert not three.journal.exists()


def test_validate_with_an_inventory_looks_at_the_fleet(three: Fleet) -> None:
    words = ["validate", str(three.plan), "--inventory", str(three.inventory)]
    command = [sys.executable, "-m", "executor", *words]
    good = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stdout
    assert "✓ every instance is healthy and of the old version" in good.stdout
    os.kill(int((three.of("checkout-2") / "pid").read_text()), signal.SIGKILL)
    bad = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert bad.returncode == 3
    assert "checkout-2: is not healthy: Connection refused" in bad.stdout


def test_a_tcp_stats_socket_works_and_is_warned_about(three: Fleet) -> None:
    where = f"127.0.0.1:{three.haproxy.tcp_port}"
    three.lists(balancer={"haproxy": {"tcp": where, "backend": "shop"}})
    done = three.execute()
    assert done.returncode == 0, done.stdout
    assert "a stats socket over TCP asks for no password" in done.stderr
    must_be_all(three, "1.1")


@pytest.mark.parametrize(("typed", "code"), [("yes\n", 0), ("no\n", 4)])
def test_approval_at_the_terminal(three: Fleet, typed: str, code: int) -> None:
    three.plans(min_in_pool=1, advance="batch")
    with three.executing("--approve", "terminal") as running:
        assert running.stdin is not None
        line_with("wave 2 may begin?", running)
        assert three.versions() == ["1.1", "1.1", "1.0"]
        running.stdin.write(typed)
        running.stdin.flush()
        out, _ = running.communicate(timeout=ENDS_WITHIN_S)
    assert running.returncode == code, out
    assert three.versions()[2] == ("1.1" if code == 0 else "1.0")


def test_approval_by_a_file(three: Fleet) -> None:
    three.plans(min_in_pool=1, advance="batch")
    path = three.folder / "approved"
    with three.executing("--approve", str(path)) as running:
        line = line_with("begins when the file says", running)
        path.write_text(line.split(": ", 1)[1])
        out, _ = running.communicate(timeout=ENDS_WITHIN_S)
    assert running.returncode == 0, out
    must_be_all(three, "1.1")


def test_a_canary_bakes_between_its_waves(three: Fleet) -> None:
    names = three.names
    bake = {"kind": "bake", "pause_s": 1.0, "error_fraction": 0.01}
    waves = [
        {"instances": names[:1], "parallel": 1, "gate": bake},
        {"instances": names[1:], "parallel": 2},
    ]
    three.plans(min_in_pool=1, strategy="canary", waves=waves)
    done = three.execute()
    assert done.returncode == 0, done.stdout + done.stderr
    must_be_all(three, "1.1")
    steps = three.timeline()["steps"]
    first = max(one["end_s"] for one in steps if one["instance"] == names[0])
    second = min(one["begin_s"] for one in steps if one["instance"] == names[1])
    assert second - first >= 1.0


def test_a_canary_that_errs_goes_back_after_one_instance(three: Fleet) -> None:
    for name in three.names:
        (three.of(name) / "fault").write_text("errors")
    bake = {"kind": "bake", "pause_s": 1.0, "error_fraction": 0.01}
    waves = [
        {"instances": three.names[:1], "parallel": 1, "gate": bake},
        {"instances": three.names[1:], "parallel": 2},
    ]
    three.plans(min_in_pool=1, strategy="canary", waves=waves, on_failure="rollback")
    with load(three.haproxy.port):
        done = three.execute()
    assert done.returncode == 5, done.stdout + done.stderr
    must_be_all(three, "1.0")
    assert three.commands("checkout-2") == []
    assert any("canary: errors" in e["said"] for e in three.timeline()["events"])


def test_the_kinds_of_events_are_the_journals(three: Fleet) -> None:
    assert three.execute("-q").stdout.startswith("done: ")
    assert {kind for kind, _, _ in events(three)} <= {kind.value for kind in EventKind}


def test_with_events_as_json_every_line_is_an_event(three: Fleet) -> None:
    done = three.execute("--events", "json")
    assert (done.returncode, done.stderr) == (0, "")
    events = [parse_event(line) for line in done.stdout.splitlines()]
    assert None not in events
    assert isinstance(events[0], RolloutStarted)
    returned = [e for e in events if isinstance(e, StepEnded) and e.step == "return"]
    assert {e.instance for e in returned if e.outcome == "done"} == set(three.names)
    end = events[-1]
    assert isinstance(end, RolloutEnded)
    assert (end.ended, end.exit_code, end.resume_command) == ("done", 0, None)
    assert {one.version for one in end.fleet.instances} == {"1.1"}
