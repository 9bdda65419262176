"""The loopback fleet, from the parent's side.

A `LabFleet` has an inventory, so that the real executor can carry a plan out on it. All processes listen on
127.0.0.1 only. They are children of one keeper (`studio.lab.keeper`), which ends when this process ends.
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
"""The names of the two versions, as in the simulation."""

POLL_S = 0.1
"""Time between two polls of the load balancer by the executor, in seconds."""

_UP_WITHIN_S = 30.0
_COMMANDS = (Step.STOP, Step.DEPLOY, Step.VERIFY, Step.START)
_TRIES = 6
"""Number of durations drawn for each step of an instance; rollbacks and retries use the later ones."""


@dataclass(frozen=True)
class LabFleet:
    """A fleet that is up.

    Attributes:
        folder: The folder of the fleet's files; it is removed with the fleet.
        inventory: The inventory for the executor.
        port: HAProxy's port for clients, on 127.0.0.1.
        stats: HAProxy's stats socket.
        keeper: The id of the keeper's process.
    """

    folder: Path
    inventory: Path
    port: int
    stats: Path
    keeper: int

    def observe(self) -> BalancerState:
        """Return the present state of HAProxy.

        Raises:
            BalancerError: HAProxy does not answer.
        """
        return HAProxy(HAProxySpec(socket=self.stats, backend=BACKEND)).observe()

    def ask(self, **command: Any) -> dict[str, Any]:
        """Send a command to the keeper (`studio.lab.keeper`); return its answer."""
        return control.send_command(str(self.folder / SOCKET), **command)

    def start_load(self, schedule: Schedule) -> None:
        """Start to send a schedule."""
        path = self.folder / "schedule.json"
        write_schedule(path, schedule)
        self.ask(do="load", schedule=str(path), result=str(self.folder / "sent.json"))

    def end_load(self, *, at_once: bool = True) -> list[Sent]:
        """End the load, at once or when all requests are answered; return each request with its outcome."""
        self.ask(do="wait_load", stop=at_once)
        return read_sent(self.folder / "sent.json")


@contextmanager
def fleet(scenario: Scenario, run: int = 0) -> Iterator[LabFleet]:
    """Put up a fleet for the block, and end it after the block.

    Args:
        scenario: The scenario whose fleet is put up.
        run: The number of the run, from 0, which the durations of the steps are drawn for.

    Raises:
        Refused: The lab cannot put the scenario up, or the fleet did not come up.
        BadInput: HAProxy is not installed.
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
    gives_up = any(
        traffic_class.client_timeout is not None
        for traffic_class in scenario.traffic.classes.values()
    )
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
    cancels = any(durations.cancel_on_disconnect for durations in scenario.traffic.classes.values())
    hosts = zip(ports, service.slots_of(), service.speeds(), strict=True)
    old, new = service.versions.old, service.versions.new
    assert new.cold.decay is not None  # `refuse_unable` refuses a warm-up by requests
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
                    step: [float(durations[step][number]) for durations in drawn]
                    for step in _COMMANDS
                },
            }
            for number, (name, slots, speed) in enumerate(hosts)
        ],
    }


def inventory_data(
    scenario: Scenario, folder: Path, ports: dict[str, int], stats: Path
) -> dict[str, Any]:
    """Return the inventory of a fleet; its commands run at low priority, because each boots an interpreter."""
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
    """Wait until the keeper has started all processes and HAProxy sends to every instance.

    Raises:
        Refused: The fleet did not come up in time; the message holds the end of the logs.
    """
    until_s = time.monotonic() + _UP_WITHIN_S
    assert keeper.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(keeper.stdout, selectors.EVENT_READ)
        first_line = keeper.stdout.readline() if selector.select(_UP_WITHIN_S) else ""
    while first_line.strip() == READY and time.monotonic() < until_s:
        with suppress(BalancerError):
            servers = fleet.observe().servers.values()
            if servers and all(
                server.is_in_pool and server.is_checked is not False for server in servers
            ):
                return
        time.sleep(0.02)  # between two polls
    logs = [fleet.folder / name for name in ("keeper.log", "haproxy.log")]
    log_words = " ".join(
        server.read_text(encoding="utf-8") for server in logs if server.is_file()
    ).split()
    raise Refused(
        f"the lab's fleet did not come up: {' '.join(log_words[-40:]) or 'it said nothing'}"
    )


def _end(keeper: subprocess.Popen[str]) -> None:
    """Let the keeper end everything; kill the keeper, and with it its children, if it does not within 10 s."""
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
    """Return unused ports of 127.0.0.1, below the range of outgoing connections.

    A stopped instance leaves its port free for a while. A client's connection could take a port from the range
    of outgoing connections meanwhile.
    """
    text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
    outgoing_begin = int(text.split()[0])
    begin = max(1024, outgoing_begin - 12_000)
    ports: list[int] = []
    while len(ports) < count:
        port = (
            begin + secrets.randbelow(max(1, outgoing_begin - begin))
            if outgoing_begin > 2048
            else 0
        )
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            port = int(probe.getsockname()[1])
            if port not in ports:
                ports.append(port)
    return ports
