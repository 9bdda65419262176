"""A fleet for tests: real instances behind a real HAProxy, with an inventory and a plan."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from executor.fleet.balancers.base import Admin
from executor.fleet.balancers.haproxy import HAProxy
from executor.fleet.inventory import HAProxySpec
from executor.plan.file import write_plan
from executor.plan.model import Step
from tests.helpers import instance
from tests.helpers.haproxy import RunningHAProxy, end_processes, free_ports, haproxy, until
from tests.helpers.paths import ROOT
from tests.helpers.plans import example_plan

SCRIPT = Path(instance.__file__)

ENDS_WITHIN_S = 300.0
"""Deadline of steps and rollouts in tests that are not about deadlines, in s: much longer than needed."""


@dataclass
class Fleet:
    """Instances behind an HAProxy.

    Attributes:
        names: The instances.
        plan: The plan's file.
        inventory: The inventory's file.
    """

    folder: Path
    ports: dict[str, int]
    haproxy: RunningHAProxy

    @property
    def names(self) -> list[str]:
        return list(self.ports)

    @property
    def plan(self) -> Path:
        return self.folder / "plan.json"

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory.yaml"

    @property
    def journal(self) -> Path:
        return self.folder / "plan.journal"

    def of(self, name: str) -> Path:
        """Return an instance's folder."""
        return self.folder / name

    def plans(self, **changes: Any) -> None:
        """Write a plan for the fleet."""
        write_plan(
            self.plan,
            example_plan(
                **{
                    "instances": self.names,
                    "min_in_pool": max(0, len(self.names) - 2),
                    "window": min(2, len(self.names)),
                    "drain": {"timeout_s": 2.0, "on_timeout": "cut"},
                    "step_deadlines_s": dict.fromkeys(Step, ENDS_WITHIN_S),
                    **changes,
                }
            ),
        )

    def lists(self, **changes: Any) -> None:
        """Write an inventory of the fleet, as JSON, which is YAML."""
        command = [sys.executable, "-S", str(SCRIPT)]
        place = ["{folder}", "{port}"]
        inventory: dict[str, Any] = {
            "rollcast": "inventory/1",
            "service": "checkout",
            "versions": {"old": "1.0", "new": "1.1"},
            "balancer": {"haproxy": {"socket": str(self.haproxy.socket), "backend": "shop"}},
            "defaults": {
                **{step: [*command, step, *place] for step in ("stop", "start")},
                **{step: [*command, step, *place, "{version}"] for step in ("deploy", "verify")},
                "health": "http://127.0.0.1:{port}/healthz",
                "version": "http://127.0.0.1:{port}/version",
            },
            "instances": {
                name: {"values": {"port": str(port), "folder": str(self.of(name))}}
                for name, port in self.ports.items()
            },
            "poll_s": 0.05,
            **changes,
        }
        self.inventory.write_text(json.dumps(inventory), encoding="utf-8")

    def environment(self) -> dict[str, str]:
        """Return environment variables that give the fleet locks of its own."""
        return {**os.environ, "ROLLCAST_STATE": str(self.folder / "state")}

    def command(self, *options: str) -> list[str]:
        """Return the command that carries the plan out."""
        words = ["execute", str(self.plan), "--inventory", str(self.inventory), *options]
        return [sys.executable, "-m", "executor", *words]

    def execute(
        self, *options: str, within_s: float = ENDS_WITHIN_S
    ) -> subprocess.CompletedProcess[str]:
        """Carry the plan out to its end."""
        return subprocess.run(
            self.command(*options),
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=within_s,
        )

    @contextmanager
    def executing(self, *options: str, ignores: str = "") -> Iterator[subprocess.Popen[str]]:
        """Carry the plan out while a block runs; kill the executor at the end of the block.

        Args:
            options: Options of the command line.
            ignores: A signal that the executor inherits as ignored.
        """
        shell = ["sh", "-c", f'trap "" {ignores}; exec "$@"', "sh"] if ignores else []
        process = subprocess.Popen(
            [*shell, *self.command(*options)],
            cwd=ROOT,
            env=self.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def versions(self) -> list[str | None]:
        """Return the version that each instance reports."""
        return [get(port, "/version") for port in self.ports.values()]

    def admin(self) -> list[str]:
        """Return HAProxy's administrative state of each server; `ready` only where the server is up."""
        state = HAProxy(HAProxySpec(socket=self.haproxy.socket, backend="shop")).observe()
        return [
            "down" if server.admin is Admin.READY and not server.is_up else server.admin.value
            for server in (state.servers[name] for name in self.names)
        ]

    def commands(self, name: str) -> list[str]:
        """Return every command that was run for an instance."""
        path = self.of(name) / "commands"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if not line.startswith("serve")]

    def timeline(self) -> dict[str, Any]:
        """Return the timeline of the last execution."""
        read: dict[str, Any] = json.loads((self.folder / "plan.timeline.json").read_text())
        return read


def get(port: int, path: str) -> str | None:
    """Return the body of an answer; None when nothing answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ENDS_WITHIN_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


@contextmanager
def fleet(
    folder: Path,
    count: int = 6,
    options: dict[str, str] | None = None,
    more: Callable[[dict[str, int]], str] = lambda _: "",
) -> Iterator[Fleet]:
    """Run a fleet of version 1.0 with plan and inventory for the length of a block."""
    names = [f"checkout-{number}" for number in range(1, count + 1)]
    ports = dict(zip(names, free_ports(count), strict=True))
    for name, port in ports.items():
        (folder / name).mkdir()
        (folder / name / "version").write_text("1.0")
        start = [sys.executable, "-S", str(SCRIPT), "start", str(folder / name), str(port)]
        subprocess.run(start, check=True)
        (folder / name / "commands").unlink()
    try:
        for port in ports.values():
            until(partial(get, port, "/healthz"), "an instance answers")
        with haproxy(folder, ports, options=options, more=more(ports)) as running:
            made = Fleet(folder, ports, running)
            until(lambda: made.admin() == ["ready"] * count, "all are up")
            made.plans()
            made.lists()
            yield made
    finally:
        end_processes(list(pids(folder, names)))


def pids(folder: Path, names: Sequence[str]) -> Iterator[int]:
    """Yield the process ids of the instances, and of commands that hang."""
    for name in names:
        with suppress(OSError, ValueError):
            yield int((folder / name / "pid").read_text())
        yield from (int(path.name.split("-")[1]) for path in (folder / name).glob("hangs-*"))


@dataclass
class Load:
    """Requests through HAProxy, sent one after the other in a few threads until the block ends.

    Attributes:
        statuses: The status of every answer; 0 where there was none.
    """

    port: int
    statuses: list[int] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Send requests until the block ends."""
        while not self._over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
                self.statuses.append(answer.status)
            except (OSError, http.client.HTTPException):
                self.statuses.append(0)
            finally:
                connection.close()

    def stop(self) -> None:
        """Make the threads end."""
        self._over.set()


def line_with(words: str, running: subprocess.Popen[str]) -> str:
    """Read the output of a process up to a line with these words. Fail when it ends without one."""
    assert running.stdout is not None
    read = []
    for line in iter(running.stdout.readline, ""):
        read.append(line)
        if words in line:
            return line
    raise AssertionError(f"it ended without a line with {words!r}:\n{''.join(read)}")


@contextmanager
def load(port: int, clients: int = 3) -> Iterator[Load]:
    """Run clients that send requests all the time, for the length of a block."""
    made = Load(port)
    threads = [threading.Thread(target=made.run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        made.stop()
        for thread in threads:
            thread.join()
