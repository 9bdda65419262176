"""A real ssh server on 127.0.0.1, in a thread of its own, that runs commands on this machine."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh


@dataclass
class Sshd:
    """A running server.

    Attributes:
        port: The port of the server.
        key: The private key of the only user who may log in.
        known_hosts: A file with the server's host key.
        commands: Every command line that a client asked for.
        signals: Every signal that a client sent to a command.
    """

    folder: Path
    port: int = 0
    commands: list[str] = field(default_factory=list)
    signals: list[str] = field(default_factory=list)
    accepts_environment: bool = True
    _connections: list[Any] = field(default_factory=list)
    _runs: list[Any] = field(default_factory=list)
    _loop: asyncio.AbstractEventLoop | None = None

    @property
    def key(self) -> Path:
        return self.folder / "user"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def cut(self) -> None:
        """Abort every connection without closing it first."""
        assert self._loop is not None
        for connection in self._connections:
            self._loop.call_soon_threadsafe(connection.abort)

    async def serve(self, ready: threading.Event, over: asyncio.Event) -> None:
        """Serve until `over` is set."""
        self._loop = asyncio.get_running_loop()

        class Server(asyncssh.SSHServer):
            def connection_made(inner, connection: Any) -> None:  # self is the test's
                self._connections.append(connection)

        server = await asyncssh.create_server(
            Server,
            "127.0.0.1",
            0,
            server_host_keys=[str(self.folder / "host")],
            authorized_client_keys=str(self.folder / "user.pub"),
            process_factory=self._run,
            encoding=None,
        )
        self.port = server.get_port()
        host_key = (self.folder / "host.pub").read_text()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {host_key}")
        ready.set()
        await over.wait()
        for connection in self._connections:
            connection.abort()
        server.close()
        await server.wait_closed()
        await asyncio.gather(*self._runs, return_exceptions=True)  # until all commands are ended

    async def _run(self, process: Any) -> None:
        self._runs.append(asyncio.current_task())
        self.commands.append(process.command)
        environment = {"PATH": "/usr/bin:/bin"}
        if self.accepts_environment:
            environment |= {key: value for key, value in process.env.items()}
        child = await asyncio.create_subprocess_shell(
            process.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )

        def signal_all(name: str) -> None:  # like OpenSSH since 7.9: the command and its children
            self.signals.append(name)
            os.killpg(child.pid, getattr(signal, f"SIG{name}"))

        process.signal_received = signal_all
        ending = asyncio.create_task(process.wait_closed())
        running = asyncio.create_task(child.communicate())
        try:
            await asyncio.wait({ending, running}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                return  # sshd ends a command whose client killed it or left
            out, _ = running.result()
        finally:
            ending.cancel()
            if child.returncode is None:
                os.killpg(child.pid, signal.SIGKILL)
                await running
        process.stdout.write(out)
        process.exit(child.returncode)


@contextmanager
def sshd(folder: Path) -> Iterator[Sshd]:
    """Run a server with keys of its own for the length of a block."""
    for name in ("host", "user"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(str(folder / name))
        key.write_public_key(str(folder / f"{name}.pub"))
        (folder / name).chmod(0o600)
    made = Sshd(folder)
    ready = threading.Event()
    over: list[Any] = []

    async def run() -> None:
        event = asyncio.Event()
        over.extend((asyncio.get_running_loop(), event))
        await made.serve(ready, event)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert ready.wait(60)
        yield made
    finally:
        loop, event = over
        loop.call_soon_threadsafe(event.set)
        thread.join(60)
