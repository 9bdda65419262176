"""From a scenario to a rolled fleet under load: compare, plan, execute."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.fleet.balancers.base import Admin
from executor.fleet.balancers.haproxy import HAProxy
from executor.fleet.inventory import HAProxySpec
from tests.helpers.fleet import ROOT, Fleet, fleet, load

pytestmark = pytest.mark.slow

SCENARIO = """\
rollcast: scenario/1
name: checkout
replications: 60
traffic: {rate: 60/s}
services:
  checkout:
    instances: [checkout-1, checkout-2, checkout-3, checkout-4, checkout-5, checkout-6]
    slots: 4
    service_time: {mean: 25ms, cv: 0.3}
    balancer: {policy: least_connections}
    steps: {stop: 200ms, deploy: 200ms, start: 500ms, return: 200ms}
rollout: {window: 2, min_healthy: 4, drain: {timeout: 10s}}
objectives: {error_fraction: 0.1%, latency_p99: 1s}
"""


@pytest.fixture
def six(tmp_path: Path) -> Iterator[Fleet]:
    with fleet(tmp_path) as made:
        yield made


def rollcast(made: Fleet, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "studio", *words],
        cwd=ROOT,
        env=made.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_from_a_scenario_to_a_rolled_fleet(six: Fleet) -> None:
    scenario = six.folder / "checkout.yaml"
    scenario.write_text(SCENARIO)
    compared = rollcast(six, "compare", str(scenario), "--windows", "1,2", "--json")
    assert compared.returncode == 0, compared.stderr
    answers = [one["verdict"]["answer"] for one in json.loads(compared.stdout)["candidates"]]
    assert answers == ["meets", "meets"]
    planned = rollcast(six, "plan", str(scenario), "--window", "2", "-o", str(six.plan))
    assert planned.returncode == 0, planned.stderr
    six.lists()
    inventory = ("--inventory", str(six.inventory))
    assert rollcast(six, "validate", str(six.plan), *inventory).returncode == 0

    fewest, over = [6], threading.Event()
    watched = HAProxy(HAProxySpec(socket=six.haproxy.socket, backend="shop"))

    def watch() -> None:
        while not over.wait(0.01):
            servers = watched.observe().servers.values()
            fewest.append(sum(one.admin is Admin.READY and one.is_up is True for one in servers))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with load(six.haproxy.port) as asked:
            done = rollcast(six, "execute", str(six.plan), *inventory)
    finally:
        over.set()
        watcher.join()
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert min(fewest) == 4
    assert six.versions() == ["1.1"] * 6
    assert len(asked.statuses) > 100
    assert set(asked.statuses) == {200}
    told = six.timeline()
    order = [one["instance"] for one in told["steps"] if one["step"] == "take_out"]
    assert order == six.names
    assert told["predicted"]["rollout_duration_s"]["run_high"] > 0
    assert told["measured"]["lowest_in_pool_count"] >= 4

    again = rollcast(six, "execute", str(six.plan), *inventory)
    assert again.returncode == 3
    assert "go on with --resume, or move the journal away" in again.stderr
