"""The process that starts the fleet, and ends all of it when it goes or its parent does.

Enters: a folder with `FLEET_FILE`, commands on a unix socket in it. Leaves: HAProxy, the instances
and the load, each a child of this process. Children are forks of it, so that a start during a
measurement boots no interpreter, which would take processor time from the rest.

Nothing outlives it, its folder neither: its standard input is a pipe that its parent holds open, and when that ends,
however the parent ended, it kills its children by their ids; should it be killed itself, the kernel
kills them (PR_SET_PDEATHSIG).
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
"""What is to be started, in the folder."""

SOCKET = "keeper.sock"
"""Where commands come in, in the folder."""

READY = "ready"
"""What is printed when all is started."""

_PR_SET_PDEATHSIG = 1


@dataclass
class _Instance:
    """What is known of one instance's host.

    Attributes:
        deployed: Which version is there, ``old`` or ``new``; it runs from the next start on.
        running: The version and the process that run, if any.
        durations_s: How long each step takes, one after the other; the last stays.
    """

    settings: instance.InstanceSettings
    port: int
    durations_s: dict[str, list[float]]
    deployed: str = "old"
    pid: int | None = None
    waiting: list[socket.socket] = field(default_factory=list)

    def next_duration_s(self, step: str) -> float:
        """How long the next such step takes."""
        left = self.durations_s.get(step) or [0.0]
        return left.pop(0) if len(left) > 1 else left[0]


class Keeper:
    """Starts, stops and reaps what the fleet consists of."""

    def __init__(self, folder: Path) -> None:
        fleet = json.loads((folder / FLEET_FILE).read_text(encoding="utf-8"))
        self._folder = folder
        self._versions = {
            name: instance.Behaviour(**one) for name, one in fleet["versions"].items()
        }
        self._verify_fails = float(fleet["verify_fails"])
        self._stop_signal = signal.SIGKILL if fleet["stop"] == "abrupt" else signal.SIGTERM
        self._instances = {
            one["settings"]["name"]: _Instance(
                instance.InstanceSettings(**one["settings"]), one["port"], one["durations_s"]
            )
            for one in fleet["instances"]
        }
        self._balancer = fleet["balancer"]
        self._children: set[int] = set()
        self._load: int | None = None
        self._load_waiting: list[socket.socket] = []
        self._selector = selectors.DefaultSelector()
        self._is_over = False

    def run(self) -> None:
        """Starts everything, obeys until the parent has gone, ends everything."""
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
        """Does what is asked; None when the answer comes later."""
        what = command["do"]
        if what == "load":
            schedule, result = Path(command["schedule"]), Path(command["result"])
            self._load = self._fork(lambda: load.generate(schedule, result))
            return {"pid": self._load}
        if what == "wait_load":
            if command["stop"] and self._load is not None:
                os.kill(self._load, signal.SIGTERM)
            return self._later(client, self._load, self._load_waiting)
        one = self._instances[command["instance"]]
        if what == "duration":
            return {"duration_s": one.next_duration_s(command["step"])}
        if what == "stop":
            if one.pid is not None:
                os.kill(one.pid, self._stop_signal)
            return self._later(client, one.pid, one.waiting)
        if what == "deploy":
            if command["version"] not in self._versions:
                return {"error": f"there is no version {command['version']}"}
            one.deployed = command["version"]
            return {}
        if what == "verify":
            return self._verify(one, command["version"])
        if what == "start":
            if one.pid is None:
                self._start(command["instance"])
            return {}
        if what == "facts":
            return {"pid": one.pid, "deployed": one.deployed, "port": one.port}
        return {"error": f"there is no command {what}"}

    def _verify(self, one: _Instance, version: str) -> dict[str, Any]:
        if one.deployed != version:
            return {"error": f"{one.deployed} is deployed, not {version}"}
        draw = int.from_bytes(os.urandom(7), "big") / 256**7
        if version == "new" and draw < self._verify_fails:
            return {"error": f"{version} does not verify"}
        return {}

    def _later(
        self, client: socket.socket, pid: int | None, waiting: list[socket.socket]
    ) -> dict[str, Any] | None:
        """Answers when a child has ended, at once when there is none."""
        if pid is None:
            return {}
        waiting.append(client)
        return None

    def _start(self, name: str) -> None:
        one = self._instances[name]
        # Open before the answer: who is told of the start may ask at once.
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", one.port))
        listener.listen(256)
        version = self._versions[one.deployed]
        one.pid = self._fork(
            lambda: instance.serve(listener, one.settings, version), {listener.fileno()}
        )
        listener.close()

    def _become_balancer(self) -> None:
        log = os.open(self._folder / "haproxy.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.execv(self._balancer[0], self._balancer)

    def _fork(self, work: Callable[[], None], kept: set[int] | None = None) -> int:
        """A child that does this work and nothing else, and does not outlive this process."""
        keeper = os.getpid()
        pid = os.fork()
        if pid == 0:
            _as_child(keeper, work, kept or set())
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
            for one in self._instances.values():
                if one.pid == pid:
                    one.pid = None
                    _tell_all(one.waiting)

    def _kill_all(self) -> None:
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        for pid in self._children:
            os.waitpid(pid, 0)


def _tell(client: socket.socket, answer: dict[str, Any]) -> None:
    with client, suppress(OSError):  # who asked may have gone
        client.sendall(json.dumps(answer).encode() + b"\n")


def _tell_all(waiting: list[socket.socket]) -> None:
    while waiting:
        _tell(waiting.pop(), {})


def _as_child(keeper: int, work: Callable[[], None], kept: set[int]) -> NoReturn:
    """Lets go of all that is the keeper's, does the work, ends without running what it holds."""
    code = 1
    try:
        # The signal would come when the keeper ends; that it has not ended yet is looked at after.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == keeper:
            signal.set_wakeup_fd(-1)
            for one in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(one, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            for name in os.listdir("/proc/self/fd"):
                if int(name) > 2 and int(name) not in kept:
                    _close(int(name))
            work()
            code = 0
    except BaseException as error:  # whatever it is, the keeper's own code must not go on here
        print(f"{work}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    os._exit(code)


def _close(number: int) -> None:
    with suppress(OSError):  # the one that listed the others is closed already
        os.close(number)


if __name__ == "__main__":
    Keeper(Path(sys.argv[1])).run()
