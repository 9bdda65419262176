"""The whole fleet behind a real HAProxy: it serves, and nothing of it is left over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from executor.fleet.inventory import read_inventory
from executor.plan.model import Step
from simulation.scenario.model import Scenario
from studio.lab import fleet as room
from studio.lab.fleet import fleet, free_ports
from studio.lab.haproxy import config_text
from studio.lab.traffic import schedule_for
from tests.helpers.haproxy import until
from tests.helpers.paths import ROOT
from tests.helpers.scenarios import scenario

CHECKS = {"health_check": {"interval": "100ms", "timeout": "100ms", "rise": 2, "fall": 2}}


def small(**changes: object) -> Scenario:
    said: dict[str, object] = {
        "rate": "60/s",
        "instances": 3,
        "slots": 2,
        "service_time": {"mean": "40ms", "cv": 0.4},
        "policy": "least_connections",
        "balancer": CHECKS,
        "rollout": {"window": 1},
    }
    return scenario(**{**said, **changes})  # type: ignore[arg-type]


def are_gone(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) for pid in pids)


def family(keeper: int) -> list[int]:
    """The keeper and all its children."""
    process = psutil.Process(keeper)
    return [keeper, *(one.pid for one in process.children(recursive=True))]


def test_the_configuration_says_what_the_scenario_does() -> None:
    one = scenario(
        instances=["a", "b"],
        slots=3,
        policy="power_of_two",
        queue_timeout="2s",
        weights={"a": 2.0},
        balancer={
            **CHECKS,
            "slow_start": "5s",
            "connect_retries": {"attempts": 2, "redispatch": True, "delay": "0s"},
        },
    )
    text = config_text(
        one.service, {"a": 1001, "b": 1002}, port=1000, stats=Path("/s"), gives_up=True
    )
    lines = [line.strip() for line in text.splitlines()]
    assert "balance random(2)" in lines
    assert "timeout queue 2000ms" in lines
    assert "retries 2" in lines
    assert "option redispatch 1" in lines
    assert "option abortonclose" in lines
    assert "stats socket /s mode 600 level admin" in lines
    assert "bind 127.0.0.1:1000" in lines
    rest = "check inter 100ms rise 2 fall 2 slowstart 5000ms"
    assert f"server a 127.0.0.1:1001 maxconn 3 weight 100 {rest}" in lines
    assert f"server b 127.0.0.1:1002 maxconn 3 weight 50 {rest}" in lines


def test_a_queue_at_the_instances_has_no_limit_in_the_balancer() -> None:
    one = scenario(instances=["a"], queue="instance", queue_timeout="2s")
    text = config_text(one.service, {"a": 1001}, port=1000, stats=Path("/s"), gives_up=False)
    assert "  server a 127.0.0.1:1001\n" in text
    assert "  timeout queue 600000ms\n" in text
    assert "  retries 0\n  no option redispatch\n  no option abortonclose\n" in text


def test_ports_lie_below_those_of_outgoing_connections() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(1024 <= port < low for port in ports)


def test_there_must_be_a_haproxy(monkeypatch: pytest.MonkeyPatch) -> None:
    from executor.base.errors import BadInput

    monkeypatch.setattr("studio.lab.haproxy.shutil.which", lambda *_, **__: None)
    monkeypatch.setattr("studio.lab.haproxy.importlib.util.find_spec", lambda _: None)
    none = "the lab needs HAProxy and there is none"
    with pytest.raises(BadInput, match=none), fleet(small()):
        raise AssertionError("it must not come up")


@pytest.mark.slow
@pytest.mark.parametrize("queue", ["balancer", "instance"])
def test_it_serves_its_traffic_and_is_gone_afterwards(queue: str) -> None:
    with fleet(small(queue=queue)) as up:
        pids = family(up.keeper)
        assert len(pids) == 1 + 3 + 1  # the keeper, instances, HAProxy
        assert len(read_inventory(up.inventory).instances) == 3
        up.start_load(
            schedule_for(
                small(queue=queue),
                0,
                port=up.port,
                zero_s=time.monotonic() + 0.3,
                warm_up_s=0.0,
                until_s=3.0,
            )
        )
        assert len(family(up.keeper)) == len(pids) + 1
        sent = up.end_load(at_once=False)
        folder = up.folder
    assert Counter(one.outcome for one in sent) == {"ok": len(sent)}
    assert 120 < len(sent) < 240
    assert {one.version for one in sent} == {"old"}
    spread = Counter(one.instance for one in sent)
    assert set(spread) == {"app-01", "app-02", "app-03"}
    assert min(spread.values()) > 0.7 * max(spread.values())
    served_s = [(one.ended_s or 0.0) - (one.begun_s or 0.0) for one in sent]
    assert 0.03 < float(np.median(served_s)) < 0.2
    assert are_gone(pids)
    assert not folder.exists()


@pytest.mark.slow
def test_the_inventorys_commands_stop_deploy_verify_and_start() -> None:
    with fleet(small(steps={"stop": "50ms", "deploy": "100ms"})) as up:
        target = read_inventory(up.inventory).targets()["app-02"]

        def done(step: Step, version: str = "new") -> tuple[int, str, float]:
            command = target.command(step, version)
            assert command is not None
            begun_s = time.monotonic()
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            return ran.returncode, ran.stderr, time.monotonic() - begun_s

        before = up.ask(do="facts", instance="app-02")
        assert done(Step.VERIFY)[:2] == (1, "app-02: verify: old is deployed, not new\n")
        code, _, took_s = done(Step.STOP)
        assert (code, took_s >= 0.05) == (0, True)
        assert are_gone([before["pid"]])
        assert done(Step.STOP)[0] == 0  # twice does no harm
        code, _, took_s = done(Step.DEPLOY)
        assert (code, took_s >= 0.1) == (0, True)
        assert done(Step.VERIFY)[0] == 0
        assert done(Step.START)[0] == 0
        assert done(Step.START)[0] == 0
        after = up.ask(do="facts", instance="app-02")
        assert after["deployed"] == "new"
        assert after["port"] == before["port"]
        assert after["pid"] not in (None, before["pid"])
        assert done(Step.DEPLOY, "newest")[:2] == (
            1,
            "app-02: deploy: there is no version newest\n",
        )
        server = lambda: up.observe().servers["app-02"]  # noqa: E731 - asked again and again
        until(lambda: server().is_in_pool, "it is up again")
    gone = subprocess.run(
        target.command(Step.START, "new") or (), capture_output=True, text=True, check=False
    )
    assert gone.returncode == 1
    assert "No such file" in gone.stderr


def lab_up(*shell: str) -> tuple[subprocess.Popen[str], Path]:
    """`rollcast lab up` in a process of its own, once it has said its inventory's path."""
    process = subprocess.Popen(
        [*shell, sys.executable, "-m", "studio", "lab", "up", "--instances", "3"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "code"),
    [
        pytest.param(lambda process: process.send_signal(signal.SIGINT), 130, id="Ctrl-C"),
        pytest.param(lambda process: process.terminate(), 130, id="SIGTERM"),
        pytest.param(lambda process: process.kill(), -9, id="kill -9"),
    ],
)
def test_lab_up_ends_all_of_it_however_it_ends(
    end: Callable[[subprocess.Popen[str]], None], code: int
) -> None:
    process, inventory = lab_up()
    try:
        assert len(json.loads(inventory.read_text(encoding="utf-8"))["instances"]) == 3
        (keeper,) = psutil.Process(process.pid).children()
        pids = family(keeper.pid)
        assert len(pids) == 5
        end(process)
        assert process.wait(60) == code
        until(lambda: are_gone(pids), "all processes have ended")
        until(lambda: not inventory.parent.exists(), "the folder is gone")
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.slow
def test_lab_up_that_a_script_put_in_the_background_ends_by_an_interrupt() -> None:
    process, inventory = lab_up("sh", "-c", 'trap "" INT; exec "$@"', "sh")
    try:
        (keeper,) = psutil.Process(process.pid).children()
        pids = family(keeper.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        until(lambda: are_gone(pids), "all processes have ended")
        until(lambda: not inventory.parent.exists(), "the folder is gone")
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.slow
def test_the_children_go_with_a_keeper_that_is_killed() -> None:
    with fleet(small()) as up:
        pids = family(up.keeper)
        os.kill(up.keeper, signal.SIGKILL)
        # The keeper itself stays a zombie until its parent, this process, has waited for it.
        until(lambda: are_gone(pids[1:]), "the kernel has ended its children")
    assert are_gone(pids)


def test_a_fleet_that_does_not_come_up_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    from executor.base.errors import Refused

    monkeypatch.setattr(room, "find_haproxy", lambda: Path(sys.executable))
    monkeypatch.setattr(room, "_UP_WITHIN_S", 2.0)
    with pytest.raises(Refused, match=r"did not come up: .*nknown option"), fleet(small()):
        raise AssertionError("it must not come up")
