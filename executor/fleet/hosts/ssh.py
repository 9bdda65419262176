"""Run commands on another machine by ssh (asyncssh, the extra `ssh`); its host key must be known.

sshd passes the command as one text to the user's login shell, so every argument is quoted and no
shell interprets it. Secrets are sent as environment variables. An sshd whose `AcceptEnv` does not
name them drops them silently, so the command first checks that they arrived.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from executor.base.errors import BadInput
from executor.base.extras import require_extra
from executor.base.files import read_owners_file
from executor.fleet.hosts.base import MAX_OUTPUT_BYTES, CommandResult, HostError
from executor.fleet.inventory import SshSpec

_logger = logging.getLogger(__name__)


class Ssh:
    """One connection, made at its first use and again after it was cut."""

    def __init__(self, spec: SshSpec) -> None:
        self._spec = spec
        self._where = f"ssh {spec.user + '@' if spec.user else ''}{spec.address}:{spec.port}"
        self._connection: Any = None
        self._connecting = asyncio.Lock()
        self._asyncssh = _asyncssh()
        self._known = spec.known_hosts or Path.home() / ".ssh" / "known_hosts"
        if not self._known.is_file():
            raise BadInput(
                f"{self._known}: must hold the host key of {spec.address}; host keys are not "
                "accepted unseen"
            )
        self._known_hosts = _read(self._known, "known host keys", self._asyncssh.read_known_hosts)
        self._key = None
        if spec.key is not None:
            read_owners_file(spec.key)
            kind = "a private key without a passphrase"
            self._key = _read(spec.key, kind, self._asyncssh.read_private_key)

    async def check(self) -> None:
        await self._connect()

    async def run(
        self, command: Sequence[str], deadline_s: float, environment: Mapping[str, str]
    ) -> CommandResult:
        _logger.debug("%s: %s", self._where, shlex.join(command))
        asyncssh = self._asyncssh
        names = "".join(f'test -n "${{{name}+x}}" || exit 119; ' for name in environment)
        line = f"{names}exec {shlex.join(command)}"
        try:
            async with asyncio.timeout(deadline_s):
                connection = await self._connect()
                process = await connection.create_process(
                    f"exec sh -c {shlex.quote(line)}",
                    env=dict(environment),
                    stdin=asyncssh.DEVNULL,
                    stderr=asyncssh.STDOUT,
                    encoding=None,
                )
                try:
                    output = bytearray()
                    while chunk := await process.stdout.read(65536):
                        output += chunk
                        del output[:-MAX_OUTPUT_BYTES]
                    await process.wait_closed()
                finally:
                    if process.exit_status is None:
                        process.kill()
                        process.close()
        except TimeoutError:
            raise HostError(
                f"{self._where}: {command[0]}: did not end within {deadline_s:g} s"
            ) from None
        except (OSError, asyncssh.Error) as error:
            self._drop_connection()
            raise HostError(f"{self._where}: {command[0]}: {_reason(error)}") from None
        if process.returncode is None:
            self._drop_connection()
            raise HostError(f"{self._where}: {command[0]}: the connection was cut")
        if process.returncode == 119 and environment:
            raise HostError(
                f"{self._where}: the secrets did not arrive: sshd's AcceptEnv must name "
                f"{', '.join(environment)}"
            )
        return CommandResult(process.returncode, bytes(output).decode("utf-8", errors="replace"))

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            await connection.wait_closed()

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    async def _connect(self) -> Any:
        """Return the open connection; make one where there is none.

        Raises:
            HostError: The connection cannot be made.
        """
        async with self._connecting:
            if self._connection is not None and not self._connection.is_closed():
                return self._connection
            spec, asyncssh = self._spec, self._asyncssh
            options: dict[str, Any] = {"username": spec.user} if spec.user else {}
            if self._key is not None:
                options["client_keys"] = [self._key]
            try:
                self._connection = await asyncssh.connect(
                    spec.address,
                    spec.port,
                    known_hosts=self._known_hosts,
                    connect_timeout=spec.connect_timeout_s,
                    keepalive_interval=5,
                    keepalive_count_max=3,
                    **options,
                )
            except asyncssh.HostKeyNotVerifiable as error:
                raise HostError(
                    f"{self._where}: its host key must stand in {self._known}: {_reason(error)}"
                ) from None
            except (
                OSError,
                asyncssh.Error,
                ValueError,
            ) as error:  # a ValueError: a bad file in ~/.ssh
                raise HostError(f"{self._where}: cannot be reached: {_reason(error)}") from None
            return self._connection


def _read(path: Path, kind: str, read: Callable[[str], Any]) -> Any:
    """Return the content of a key file.

    Raises:
        BadInput: The file cannot be read or is not of this kind.
    """
    try:
        return read(str(path))
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise BadInput(f"{path}: must hold {kind}: {error}") from None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _asyncssh() -> ModuleType:
    """Return the library asyncssh, which is imported only where a host is reached by ssh.

    Raises:
        BadInput: The library is not installed.
    """
    require_extra("ssh", "a host by ssh")
    import asyncssh  # noqa: PLC0415 # an extra: the base installation does without

    return asyncssh
