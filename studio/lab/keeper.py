"""The process that starts the fleet, and ends all of it when this process or its parent ends.

HAProxy, the instances and the load are children of this process. They are forks, so that a start during a
measurement boots no interpreter, which would take processor time from the measured processes.

Neither a child nor the folder outlives this process. Its standard input is a pipe that the parent holds open:
when the pipe closes, however the parent ended, the keeper kills its children by their ids. When the keeper
itself is killed, the kernel kills the children (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from studio.lab import instance, load

FLEET_FILE = "fleet.json"
"""The file in the folder that describes the fleet."""

SOCKET = "keeper.sock"
"""The unix socket for commands, in the folder."""

READY = "ready"
"""The line that is printed when all processes are started."""

_PR_SET_PDEATHSIG = 1


@dataclass
class _Instance:
    """The host of one instance.

    Attributes:
        deployed: The deployed version, ``old`` or ``new``; it runs from the next start on.
        pid: The process of the running instance, if any.
        durations_s: Durations of each step, used one after the other; the last one is used again.
        waiting: The clients that wait for the instance to end.
    """

    settings: instance.InstanceSettings
    port: int
    durations_s: dict[str, list[float]]
    deployed: str = "old"
    pid: int | None = None
    waiting: list[socket.socket] = field(default_factory=list)

    def next_duration_s(self, step: str) -> float:
        """Return the duration of the next step of this name, in seconds."""
        left = self.durations_s.get(step) or [0.0]
        return left.pop(0) if len(left) > 1 else left[0]


class Keeper:
    """Starts, stops and reaps the processes of a fleet."""

    def __init__(self, folder: Path) -> None:
        fleet = json.loads((folder / FLEET_FILE).read_text(encoding="utf-8"))
        self._folder = folder
        self._versions = {
            name: instance.Behaviour(**entry) for name, entry in fleet["versions"].items()
        }
        self._verify_fails = float(fleet["verify_fails"])
        self._stop_signal = signal.SIGKILL if fleet["stop"] == "abrupt" else signal.SIGTERM
        self._instances = {
            entry["settings"]["name"]: _Instance(
                instance.InstanceSettings(**entry["settings"]), entry["port"], entry["durations_s"]
            )
            for entry in fleet["instances"]
        }
        self._balancer = fleet["balancer"]
        self._children: set[int] = set()
        self._load: int | None = None
        self._load_waiting: list[socket.socket] = []
        self._selector = selectors.DefaultSelector()
        self._is_over = False

    def run(self) -> None:
        """Start everything, obey commands until the parent ends, and end everything."""
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._end())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with socket.socket(socket.AF_UNIX) as commands:
            commands.bind(str(self._folder / SOCKET))
            commands.listen(64)
            self._watch(commands, lambda: self._accept(commands))
            self._watch(woken, lambda: self._reap(woken))
            self._watch(sys.stdin.fileno(), self._end)
            try:
                for name in self._instances:
                    self._start(name)
                self._fork(self._become_balancer)
                print(READY, flush=True)
                while not self._is_over:
                    for key, _ in self._selector.select():
                        key.data()
            finally:
                self._kill_all()
                shutil.rmtree(self._folder, ignore_errors=True)

    def _watch(self, source: Any, act: Callable[[], None]) -> None:
        self._selector.register(source, selectors.EVENT_READ, act)

    def _end(self) -> None:
        self._is_over = True

    def _accept(self, commands: socket.socket) -> None:
        client, _ = commands.accept()
        client.settimeout(1.0)
        with client.makefile("r", encoding="utf-8") as lines:
            text = lines.readline()
        try:
            answer = self._obey(json.loads(text), client)
        except (KeyError, TypeError, ValueError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        if answer is not None:
            _tell(client, answer)

    def _obey(self, command: dict[str, Any], client: socket.socket) -> dict[str, Any] | None:
        """Carry a command out; return the answer, None when it comes later."""
        action = command["do"]
        if action == "load":
            schedule, result = Path(command["schedule"]), Path(command["result"])
            self._load = self._fork(lambda: load.generate(schedule, result))
            return {"pid": self._load}
        if action == "wait_load":
            if command["stop"] and self._load is not None:
                os.kill(self._load, signal.SIGTERM)
            return self._later(client, self._load, self._load_waiting)
        host = self._instances[command["instance"]]
        if action == "duration":
            return {"duration_s": host.next_duration_s(command["step"])}
        if action == "stop":
            if host.pid is not None:
                os.kill(host.pid, self._stop_signal)
            return self._later(client, host.pid, host.waiting)
        if action == "deploy":
            if command["version"] not in self._versions:
                return {"error": f"there is no version {command['version']}"}
            host.deployed = command["version"]
            return {}
        if action == "verify":
            return self._verify(host, command["version"])
        if action == "start":
            if host.pid is None:
                self._start(command["instance"])
            return {}
        if action == "facts":
            return {"pid": host.pid, "deployed": host.deployed, "port": host.port}
        return {"error": f"there is no command {action}"}

    def _verify(self, host: _Instance, version: str) -> dict[str, Any]:
        if host.deployed != version:
            return {"error": f"{host.deployed} is deployed, not {version}"}
        draw = int.from_bytes(os.urandom(7), "big") / 256**7
        if version == "new" and draw < self._verify_fails:
            return {"error": f"{version} does not verify"}
        return {}

    def _later(
        self, client: socket.socket, pid: int | None, waiting: list[socket.socket]
    ) -> dict[str, Any] | None:
        """Answer once a child has ended; at once when there is none."""
        if pid is None:
            return {}
        waiting.append(client)
        return None

    def _start(self, name: str) -> None:
        host = self._instances[name]
        # Listen before the answer: the caller may send a request as soon as it knows of the start.
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", host.port))
        listener.listen(256)
        version = self._versions[host.deployed]
        host.pid = self._fork(
            lambda: instance.serve(listener, host.settings, version), {listener.fileno()}
        )
        listener.close()

    def _become_balancer(self) -> None:
        log = os.open(self._folder / "haproxy.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.execv(self._balancer[0], self._balancer)

    def _fork(self, work: Callable[[], None], open_files: set[int] | None = None) -> int:
        """Fork a child that does this work only and does not outlive this process; return its id."""
        keeper = os.getpid()
        pid = os.fork()
        if pid == 0:
            _as_child(keeper, work, open_files or set())
        self._children.add(pid)
        return pid

    def _reap(self, woken: int) -> None:
        os.read(woken, 4096)
        while self._children:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._children.discard(pid)
            if pid == self._load:
                self._load = None
                _tell_all(self._load_waiting)
            for host in self._instances.values():
                if host.pid == pid:
                    host.pid = None
                    _tell_all(host.waiting)

    def _kill_all(self) -> None:
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        for pid in self._children:
            os.waitpid(pid, 0)


def _tell(client: socket.socket, answer: dict[str, Any]) -> None:
    with client, suppress(OSError):  # the client may have gone
        client.sendall(json.dumps(answer).encode() + b"\n")


def _tell_all(waiting: list[socket.socket]) -> None:
    while waiting:
        _tell(waiting.pop(), {})


def _as_child(keeper: int, work: Callable[[], None], open_files: set[int]) -> NoReturn:
    """Close the keeper's files, do the work, and end without the keeper's own exit handlers."""
    code = 1
    try:
        # The kernel sends the signal when the keeper ends; the check below covers one that has ended already.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == keeper:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            for name in os.listdir("/proc/self/fd"):
                if int(name) > 2 and int(name) not in open_files:
                    _close(int(name))
            work()
            code = 0
    except BaseException as error:  # on any error the keeper's own code must not run in the child
        print(f"{work}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    os._exit(code)


def _close(number: int) -> None:
    with suppress(OSError):  # the descriptor that listed the folder is closed already
        os.close(number)


if __name__ == "__main__":
    Keeper(Path(sys.argv[1])).run()
