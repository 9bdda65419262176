"""The loopback fleet, from the parent's side: it comes up whole, and it ends whole.

Enters: a scenario. Leaves: a `LabFleet` with the path of its inventory, so that the real executor can
carry a plan out on it. All of it listens on 127.0.0.1 only, and all of it are children of one
keeper (`studio.lab.keeper`), which ends when this process does, however that ends.
"""

from __future__ import annotations

import json
import secrets
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from executor.base.errors import Refused
from executor.fleet.balancers.base import BalancerError, BalancerState
from executor.fleet.balancers.haproxy import HAProxy
from executor.fleet.inventory import HAProxySpec
from executor.plan.model import Step
from simulation.control.strategy import step_durations
from simulation.scenario.model import Scenario
from studio.lab import control
from studio.lab.haproxy import BACKEND, config_text, find_haproxy
from studio.lab.instance import Behaviour, InstanceSettings
from studio.lab.keeper import FLEET_FILE, READY, SOCKET
from studio.lab.limits import refuse_unable
from studio.lab.load import Schedule, Sent, read_sent, write_schedule
from studio.lab.traffic import FIRST_REPLICATION

OLD, NEW = "old", "new"
"""The names of the two versions, as the simulation says them."""

POLL_S = 0.1
"""How often the executor looks at the balancer."""

_UP_WITHIN_S = 30.0
_COMMANDS = (Step.STOP, Step.DEPLOY, Step.VERIFY, Step.START)
_TRIES = 6
"""So many times an instance's steps have durations of their own; rollbacks and retries use them."""


@dataclass(frozen=True)
class LabFleet:
    """A fleet that is up.

    Attributes:
        folder: Where its files are; it goes with the fleet.
        inventory: The inventory that the executor needs.
        port: Where clients come in, on 127.0.0.1.
        stats: HAProxy's stats socket.
        keeper: The id of the process that keeps it.
    """

    folder: Path
    inventory: Path
    port: int
    stats: Path
    keeper: int

    def observe(self) -> BalancerState:
        """What HAProxy says now.

        Raises:
            BalancerError: It does not answer.
        """
        return HAProxy(HAProxySpec(socket=self.stats, backend=BACKEND)).observe()

    def ask(self, **command: Any) -> dict[str, Any]:
        """What the keeper answers to a command, see `studio.lab.keeper`."""
        return control.send_command(str(self.folder / SOCKET), **command)

    def start_load(self, schedule: Schedule) -> None:
        """Begins to send."""
        path = self.folder / "schedule.json"
        write_schedule(path, schedule)
        self.ask(do="load", schedule=str(path), result=str(self.folder / "sent.json"))

    def end_load(self, *, at_once: bool = True) -> list[Sent]:
        """Ends the sending, or waits until all is answered; what became of each request."""
        self.ask(do="wait_load", stop=at_once)
        return read_sent(self.folder / "sent.json")


@contextmanager
def fleet(scenario: Scenario, run: int = 0) -> Iterator[LabFleet]:
    """A fleet for a scenario, up before the block and gone after it.

    Args:
        scenario: What is put up.
        run: The number of the run, from 0: its steps' durations are of that replication.

    Raises:
        Refused: The lab cannot put it up, or it did not come up.
        BadInput: There is no HAProxy.
    """
    refuse_unable(scenario)
    haproxy = find_haproxy()
    folder = Path(tempfile.mkdtemp(prefix="rollcast-lab-"))
    try:
        fleet, keeper = _opened(scenario, run, folder, haproxy)
        try:
            _wait_until_up(fleet, keeper)
            yield fleet
        finally:
            _end(keeper)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _opened(
    scenario: Scenario, run: int, folder: Path, haproxy: Path
) -> tuple[LabFleet, subprocess.Popen[str]]:
    service = scenario.service
    names = service.instance_names(scenario.service_name)
    port, *own = free_ports(len(names) + 1)
    ports = dict(zip(names, own, strict=True))
    stats, config = folder / "haproxy.sock", folder / "haproxy.cfg"
    gives_up = any(one.client_timeout is not None for one in scenario.traffic.classes.values())
    config.write_text(
        config_text(service, ports, port=port, stats=stats, gives_up=gives_up), encoding="utf-8"
    )
    _write_json(
        folder / FLEET_FILE,
        _for_keeper(scenario, run, ports, [str(haproxy), "-db", "-f", str(config)]),
    )
    inventory = folder / "inventory.yaml"
    _write_json(inventory, inventory_data(scenario, folder, ports, stats))
    with (folder / "keeper.log").open("w", encoding="utf-8") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "studio.lab.keeper", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C is for this process, which ends the keeper
        )
    return LabFleet(folder, inventory, port, stats, keeper.pid), keeper


def _write_json(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1), encoding="utf-8")
    path.chmod(0o600)


def _for_keeper(
    scenario: Scenario, run: int, ports: dict[str, int], balancer: list[str]
) -> dict[str, Any]:
    service, rule = scenario.service, scenario.rollout
    drawn = [
        step_durations(scenario, scenario.service_name, scenario.seed, FIRST_REPLICATION + number)
        for number in range(run * _TRIES, (run + 1) * _TRIES)
    ]
    queues = service.balancer
    at_instance = queues.queue == "instance"
    cancels = any(one.cancel_on_disconnect for one in scenario.traffic.classes.values())
    each = zip(ports, service.slots_of(), service.speeds(), strict=True)
    old, new = service.versions.old, service.versions.new
    return {
        "balancer": balancer,
        "stop": "graceful" if rule is None else rule.stop.mode,
        "verify_fails": new.verify_fails,
        "versions": {
            OLD: asdict(Behaviour(OLD, old.service_factor, old.error_fraction)),
            NEW: asdict(
                Behaviour(
                    NEW,
                    new.service_factor,
                    new.error_fraction,
                    new.cold.factor,
                    new.cold.decay,
                    new.start_fails,
                )
            ),
        },
        "instances": [
            {
                "settings": asdict(
                    InstanceSettings(
                        name,
                        slots,
                        speed,
                        queue_limit=queues.queue_limit if at_instance else None,
                        queue_timeout_s=queues.queue_timeout if at_instance else None,
                        grace_s=30.0 if rule is None else rule.stop.grace,
                        cancels=cancels,
                    )
                ),
                "port": ports[name],
                "durations_s": {
                    step: [float(one[step][number]) for one in drawn] for step in _COMMANDS
                },
            }
            for number, (name, slots, speed) in enumerate(each)
        ],
    }


def inventory_data(
    scenario: Scenario, folder: Path, ports: dict[str, int], stats: Path
) -> dict[str, Any]:
    """The inventory of a fleet, with commands at low priority: they boot interpreters."""
    nice = shutil.which("nice")
    command = [
        *([nice, "-n", "10"] if nice else []),
        *(sys.executable, "-I", "-S", control.__file__, str(folder / SOCKET)),
    ]
    check = scenario.service.balancer.health_check
    haproxy: dict[str, Any] = {"socket": str(stats), "backend": BACKEND}
    if check is not None:
        haproxy["check_interval_s"] = check.interval
    versions = {Step.DEPLOY: ["{version}"], Step.VERIFY: ["{version}"]}
    return {
        "rollcast": "inventory/1",
        "service": scenario.service_name,
        "versions": {"old": OLD, "new": NEW},
        "balancer": {"haproxy": haproxy},
        "defaults": {
            **{
                step.value: [*command, step.value, "{instance}", *versions.get(step, [])]
                for step in _COMMANDS
            },
            "health": "http://127.0.0.1:{port}/healthz",
            "version": "http://127.0.0.1:{port}/version",
        },
        "instances": {name: {"values": {"port": str(port)}} for name, port in ports.items()},
        "poll_s": POLL_S,
    }


def _wait_until_up(fleet: LabFleet, keeper: subprocess.Popen[str]) -> None:
    """Until the keeper has started all, and HAProxy sends to every instance.

    Raises:
        Refused: It did not come up in time; the message says what the logs say.
    """
    until_s = time.monotonic() + _UP_WITHIN_S
    assert keeper.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(keeper.stdout, selectors.EVENT_READ)
        said = keeper.stdout.readline() if selector.select(_UP_WITHIN_S) else ""
    while said.strip() == READY and time.monotonic() < until_s:
        with suppress(BalancerError):
            servers = fleet.observe().servers.values()
            if servers and all(one.is_in_pool and one.is_checked is not False for one in servers):
                return
        time.sleep(0.02)  # between two looks
    logs = [fleet.folder / name for name in ("keeper.log", "haproxy.log")]
    told = " ".join(one.read_text(encoding="utf-8") for one in logs if one.is_file()).split()
    raise Refused(f"the lab's fleet did not come up: {' '.join(told[-40:]) or 'it said nothing'}")


def _end(keeper: subprocess.Popen[str]) -> None:
    """Lets the keeper end everything; should it not, it is killed, and with it its children."""
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    with suppress(OSError):
        keeper.stdin.close()
    try:
        keeper.wait(10)
    except subprocess.TimeoutExpired:
        keeper.kill()
        keeper.wait()
    keeper.stdout.close()


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses, below those that outgoing connections are given.

    An instance that is stopped gives its port up for a while; one from the range of outgoing
    connections might be taken by a client meanwhile.
    """
    text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
    end = int(text.split()[0])
    begin = max(1024, end - 12_000)
    found: list[int] = []
    while len(found) < count:
        port = begin + secrets.randbelow(max(1, end - begin)) if end > 2048 else 0
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            port = int(probe.getsockname()[1])
            if port not in found:
                found.append(port)
    return found
