"""HAProxy 2.6 and newer, by its Runtime API over a unix or a TCP socket.

Each command has a connection of its own. HAProxy answers a change that worked with one empty line;
any text is an error.

Known and accepted: when a reused connection breaks in the middle of a request, only the client sees
it; HAProxy counts it nowhere.
"""

from __future__ import annotations

import csv
import errno
import io
import logging
import re
import socket
from contextlib import suppress
from time import monotonic

from executor.fleet.balancers.base import (
    Admin,
    BalancerState,
    Forbidden,
    OtherRoutes,
    Rejected,
    Server,
    Unreachable,
    Verb,
)
from executor.fleet.inventory import HAProxySpec

_logger = logging.getLogger(__name__)

_MAINT_BITS, _DRAIN_BITS = 0x01 | 0x02 | 0x04 | 0x20 | 0x40, 0x08 | 0x10
"""Bits of `srv_admin_state`: forced, inherited, configured and by DNS; see HAProxy's `server-t.h`."""

_RUNNING_OR_STARTING = {"1", "2"}
"""Values of `srv_op_state`: 0 stopped, 1 starting (slow start), 2 running, 3 stopping (soft stop)."""

_STATES: dict[Verb, str] = {"take_out": "drain", "remove": "maint", "put_back": "ready"}


class HAProxy:
    """One backend of one HAProxy."""

    def __init__(self, spec: HAProxySpec) -> None:
        self._spec = spec
        self._where = str(spec.socket) if spec.socket is not None else f"tcp:{spec.tcp}"

    def warnings(self) -> list[str]:
        if self._spec.tcp is None:
            return []
        return [
            f"{self._where}: a stats socket over TCP asks for no password: whoever reaches it "
            "controls the balancer; a unix socket is safer"
        ]

    def place(self) -> str:
        return f"backend {self._spec.backend} of {self._where}"

    def other_routes(self) -> OtherRoutes:
        backend = self._spec.backend
        rows = [row for row in self._servers_state() if _has_address(row)]
        own = {_address(row): row["srv_name"] for row in rows if row["be_name"] == backend}
        servers: dict[str, tuple[str, ...]] = {}
        for row in rows:
            name = own.get(_address(row))
            if name is not None and (row["be_name"], row["srv_name"]) != (backend, name):
                servers[name] = (*servers.get(name, ()), f"{row['be_name']}/{row['srv_name']}")
        peers = re.findall(r"\bid=(\S+)\(remote,", self.ask("show peers"))
        return OtherRoutes(servers, tuple(dict.fromkeys(peers)))

    def words(self, verb: Verb, server: str) -> str:
        place = f"{self._spec.backend}/{server}"
        if verb == "cut":
            return f"shutdown sessions server {place}"
        return f"set server {place} state {_STATES[verb]}"

    def check_permission(self) -> None:
        # This command needs level admin, and changes nothing: no server can have the name "-".
        answer = self.ask(f"set server {self._spec.backend}/- state ready")
        if "permission denied" in answer.lower():
            raise Forbidden(f"{self._where}: level must be admin: {_one_line(answer)}")

    def observe(self) -> BalancerState:
        info = dict(
            line.split(": ", 1) for line in self.ask("show info").splitlines() if ": " in line
        )
        try:
            identity = f"{info['Pid']}@{info['Start_time_sec']}"
        except KeyError:
            # `Start_time_sec` came with 2.5. An older version lacks other fields that are read below.
            raise Rejected(f"{self._where}: must be HAProxy 2.6 or newer: show info") from None
        stat = self._stat()
        if "BACKEND" not in stat:
            raise Rejected(f"{self._where}: backend {self._spec.backend} must exist")
        admin = {row["srv_name"]: row for row in self._servers_state(self._spec.backend)}
        backend = stat["BACKEND"]
        return BalancerState(
            identity=identity,
            servers={name: self._server(stat[name], admin[name]) for name in admin if name in stat},
            requests_count=_requests(backend),
            failed_count=_failed(backend),
            queued_count=sum(_number(row, "qcur") for row in stat.values()),
        )

    def take_out(self, server: str) -> None:
        self._change(self.words("take_out", server))

    def remove(self, server: str) -> None:
        self._change(self.words("remove", server))

    def cut(self, server: str) -> None:
        self._change(self.words("cut", server))

    def put_back(self, server: str) -> None:
        self._change(self.words("put_back", server))

    def ask(self, command: str) -> str:
        """Send one command over a connection of its own and return the whole answer.

        Raises:
            Unreachable: There is no answer; the message says why.
            Forbidden: This user may not open the socket.
        """
        _logger.debug("%s: %s", self._where, command)
        until_s = monotonic() + self._spec.timeout_s
        answer = bytearray()
        try:
            with self._connect() as connection:
                connection.sendall(command.encode() + b"\n")
                while True:
                    connection.settimeout(max(0.001, until_s - monotonic()))
                    chunk = connection.recv(65536)
                    if not chunk:
                        break
                    answer += chunk
        except TimeoutError:
            raise Unreachable(
                f"{self._where}: did not answer within {self._spec.timeout_s:g} s: {command}"
            ) from None
        except OSError as error:
            raise self._socket_error(error) from None
        if not answer:
            raise Unreachable(f"{self._where}: closed the connection without an answer: {command}")
        return answer.decode("utf-8", errors="replace")

    def _connect(self) -> socket.socket:
        if self._spec.tcp is not None:
            host, _, port = self._spec.tcp.rpartition(":")
            return socket.create_connection((host.strip("[]"), int(port)), self._spec.timeout_s)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self._spec.timeout_s)
            connection.connect(str(self._spec.socket))
        except BaseException:
            with suppress(OSError):
                connection.close()
            raise
        return connection

    def _socket_error(self, error: OSError) -> Unreachable | Forbidden:
        """Return the error that says what is wrong with the socket."""
        if error.errno in {errno.EACCES, errno.EPERM}:
            return Forbidden(f"{self._where}: this user may not open the socket")
        if error.errno == errno.ENOENT:
            return Unreachable(f"{self._where}: there is no such socket; is HAProxy configured so?")
        if error.errno == errno.ECONNREFUSED:
            tcp = self._spec.tcp is not None
            stale = "nobody listens there" if tcp else "the socket is stale, nobody listens on it"
            return Unreachable(f"{self._where}: {stale}; does HAProxy run?")
        return Unreachable(f"{self._where}: cannot be asked: {error.strerror or error}")

    def _change(self, command: str) -> None:
        answer = self.ask(command)
        if answer.strip():
            kind = Forbidden if "permission denied" in answer.lower() else Rejected
            raise kind(f"{self._where}: {command}: {_one_line(answer)}")

    def _stat(self) -> dict[str, dict[str, str]]:
        """Return the rows of the backend in `show stat`, by name of the server."""
        answer = self.ask("show stat")
        if not answer.startswith("# pxname"):
            raise Rejected(f"{self._where}: show stat: {_one_line(answer)}")
        rows = csv.DictReader(io.StringIO(answer.removeprefix("# ")))
        return {row["svname"]: row for row in rows if row["pxname"] == self._spec.backend}

    def _servers_state(self, backend: str = "") -> list[dict[str, str]]:
        """Return the rows of `show servers state`: of one backend, or of all."""
        lines = self.ask(f"show servers state {backend}".rstrip()).splitlines()
        head = next((line for line in lines if line.startswith("# ")), None)
        if head is None:
            raise Rejected(f"{self._where}: show servers state: {_one_line(' '.join(lines))}")
        names = head[2:].split()
        rows = [line.split() for line in lines[lines.index(head) + 1 :] if line.strip()]
        return [dict(zip(names, row, strict=False)) for row in rows]

    def _server(self, stat: dict[str, str], state: dict[str, str]) -> Server:
        bits = int(state["srv_admin_state"])
        admin = Admin.MAINT if bits & _MAINT_BITS else Admin.READY
        if admin is Admin.READY and bits & _DRAIN_BITS:
            admin = Admin.DRAIN
        has_checks = bool(stat["check_status"]) or admin is Admin.MAINT
        up = state["srv_op_state"] in _RUNNING_OR_STARTING and stat["status"] != "DOWN"
        return Server(
            admin=admin,
            is_up=up if has_checks and stat["status"] != "no check" else None,
            is_checked=self._is_checked(stat, up),
            sessions_count=_number(stat, "scur"),
            queued_count=_number(stat, "qcur"),
            requests_count=_requests(stat),
            failed_count=_failed(stat),
            # The weight that the file, an operator or an agent has set: during a slow start the
            # effective weight is small, although the server is in the pool.
            weight=int(state["srv_uweight"]),
            is_backup=stat["bck"] == "1",
        )

    def _is_checked(self, stat: dict[str, str], up: bool) -> bool | None:
        """Return whether a check has passed since the server was made ready; None without checks.

        `ready` sets the health to `rise`, and each passed check adds one, up to rise + fall − 1. So a
        health above `rise` means that a check has passed. Where `fall` is 1 the health never exceeds
        `rise`, but a single failed check marks the server down: there it is enough that the server
        has been up for two intervals.
        """
        if not stat["check_rise"]:
            return None
        rise, fall = _number(stat, "check_rise"), _number(stat, "check_fall")
        if fall > 1:
            return up and _number(stat, "check_health") > rise
        return up and _number(stat, "lastchg") > 2 * self._spec.check_interval_s


def _has_address(row: dict[str, str]) -> bool:
    """Return whether a row of `show servers state` has an address; a name may be unresolved."""
    return row["srv_addr"] != "-"


def _address(row: dict[str, str]) -> tuple[str, str]:
    return row["srv_addr"], row["srv_port"]


def _number(row: dict[str, str], name: str) -> int:
    return int(row[name] or 0)


def _requests(row: dict[str, str]) -> int:
    """Return the requests of a row: HTTP requests where HAProxy counts them, else sessions."""
    return _number(row, "req_tot") or _number(row, "stot")


def _failed(row: dict[str, str]) -> int:
    """Return the failed requests of a row.

    For HTTP: answers 5xx, those of HAProxy itself included, and transfers that the server broke off.
    """
    if row["mode"] == "http":
        return _number(row, "hrsp_5xx") + _number(row, "srv_abrt")
    return _number(row, "econ") + _number(row, "eresp")


def _one_line(answer: str) -> str:
    """Return an answer as one line."""
    return " ".join(answer.split()) or "an empty answer"
