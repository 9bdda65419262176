"""Commands on this machine and over a real ssh connection."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from executor.base.errors import BadInput
from executor.fleet.hosts.base import CommandResult, Host, HostError
from executor.fleet.hosts.local import Local
from executor.fleet.hosts.ssh import Ssh
from executor.fleet.inventory import SshSpec
from tests.helpers.haproxy import until
from tests.helpers.sshd import Sshd, sshd


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    with sshd(tmp_path) as running:
        yield running


def ssh(server: Sshd, **changes: Any) -> Ssh:
    said = {"known_hosts": server.known_hosts, "key": server.key, "user": "deploy", **changes}
    return Ssh(SshSpec(address="127.0.0.1", port=server.port, **said))


@pytest.fixture(params=["local", "ssh"])
def host(request: pytest.FixtureRequest) -> Callable[[], Host]:
    """Makes a host, inside a running loop."""
    if request.param == "local":
        return Local
    server = request.getfixturevalue("server")
    return lambda: ssh(server)


def ran(
    make: Callable[[], Host], *command: str, deadline_s: float = 60.0, **secrets: str
) -> CommandResult:
    async def go() -> CommandResult:
        made = make()
        try:
            await made.check()
            return await made.run(command, deadline_s, secrets)
        finally:
            await made.close()

    return asyncio.run(go())


def time_out(make: Callable[[], Host], *command: str, has_begun: Callable[[], bool]) -> None:
    """Run a command that hangs until its deadline; give more time where it had not begun by then."""
    for deadline_s in (0.5, 5.0, 50.0):
        error = rf"{command[0]}: did not end within {deadline_s:g} s"
        with pytest.raises(HostError, match=error):
            ran(make, *command, deadline_s=deadline_s)
        if has_begun():
            return
    raise AssertionError("the command did not begin in 50 s")


def test_a_command_and_what_it_said(host: Callable[[], Host]) -> None:
    done = ran(host, "sh", "-c", "echo out; echo err >&2; exit 3")
    assert done.exit_code == 3
    assert sorted(done.output.split()) == ["err", "out"]


@pytest.mark.parametrize("word", ["a b", "$HOME", "`id`", "a;false", "'", '"', "*", "", "é\n"])
def test_no_shell_reads_anything_into_an_argument(host: Callable[[], Host], word: str) -> None:
    assert ran(host, "printf", "%s.", word) == CommandResult(0, f"{word}.")


def test_a_command_that_hangs_is_ended(host: Callable[[], Host], tmp_path: Path) -> None:
    path = tmp_path / "pid"
    script = f"echo $$ > {path}.new; mv {path}.new {path}; exec sleep 600"
    time_out(host, "sh", "-c", script, has_begun=path.exists)
    pid = int(path.read_text())
    until(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid), "it is gone")


def test_a_command_that_hangs_is_ended_with_all_it_started(
    host: Callable[[], Host], tmp_path: Path
) -> None:
    """Also what runs behind its back, and what ignores a polite word."""
    path = tmp_path / "pids"
    script = (
        "trap '' TERM HUP INT; "
        f"sh -c 'trap \"\" TERM HUP INT; echo $$ >> {path}; sleep 600; sleep 600' & "
        f"echo $$ >> {path}; wait; sleep 600"
    )
    pids: list[int] = []

    def have_both_begun() -> bool:
        """Read the two process numbers, and forget them for another attempt."""
        pids[:] = [int(line) for line in path.read_text().split()] if path.exists() else []
        path.unlink(missing_ok=True)
        return len(pids) == 2

    time_out(host, "sh", "-c", script, has_begun=have_both_begun)
    for pid in pids:
        until(partial(_is_zombie, pid), f"process {pid} is gone")


def test_a_command_that_is_cancelled_is_ended_with_all_it_started(
    host: Callable[[], Host], tmp_path: Path
) -> None:
    path = tmp_path / "pid"

    async def go() -> None:
        made = host()
        try:
            script = f"sleep 600 & echo $! > {path}.new; mv {path}.new {path}; wait"
            command = asyncio.create_task(made.run(("sh", "-c", script), 300.0, {}))
            while not path.exists():
                assert not command.done(), "it ended before it said its number"
                await asyncio.sleep(0.01)  # between two looks whether it runs
            command.cancel()
            with pytest.raises(asyncio.CancelledError):
                await command
        finally:
            await made.close()

    asyncio.run(go())
    until(lambda: _is_zombie(int(path.read_text())), "it is gone")


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_secrets_are_in_the_environment(host: Callable[[], Host]) -> None:
    assert ran(host, "sh", "-c", 'printf %s "$TOKEN"', TOKEN="s3cret") == CommandResult(0, "s3cret")


def test_only_the_end_of_a_long_output_is_kept(host: Callable[[], Host]) -> None:
    done = ran(host, "sh", "-c", "seq 1 20000")
    assert done.output.endswith("19999\n20000\n")
    assert len(done.output) <= 4000


def test_a_service_left_running_does_not_hold_up_its_start(tmp_path: Path) -> None:
    begun_s = time.monotonic()
    done = ran(Local, "sh", "-c", f"sleep 300 & echo $! > {tmp_path / 'pid'}; echo started")
    took_s = time.monotonic() - begun_s
    assert done == CommandResult(0, "started\n")
    assert took_s < 60
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(HostError, match=r"/nowhere/at-all: cannot be started: No such file"):
        ran(Local, "/nowhere/at-all")


def test_no_place_for_the_output_is_the_hosts_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("executor.fleet.hosts.local.tempfile.TemporaryFile", full)
    with pytest.raises(HostError, match=r"^true: cannot be started: .*No space left on device$"):
        ran(Local, "true")


def test_an_unknown_host_key_is_refused(server: Sshd) -> None:
    server.known_hosts.write_text("")
    with pytest.raises(HostError, match=r"its host key must stand in .*known_hosts"):
        ran(lambda: ssh(server), "true")
    assert server.commands == []


def test_another_host_key_is_refused(server: Sshd, tmp_path: Path) -> None:
    other = (tmp_path / "user.pub").read_text()
    server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {other}")
    with pytest.raises(HostError, match=r"its host key must stand in"):
        ran(lambda: ssh(server), "true")


def test_without_known_hosts_nothing_is_accepted(server: Sshd, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="host keys are not accepted unseen"):
        ran(lambda: ssh(server, known_hosts=tmp_path / "none"), "true")


def test_a_key_that_others_can_read_is_refused(server: Sshd) -> None:
    server.key.chmod(0o644)
    with pytest.raises(BadInput, match=r"mode \(0644\) must be 0600"):
        ran(lambda: ssh(server), "true")


@pytest.mark.parametrize(
    ("which", "content", "said"),
    [
        ("key", b"hello", "user: must hold a private key without a passphrase: "),
        ("key", b"\xff\xfe", "user: cannot be read: "),
        (
            "known_hosts",
            b"@foo host ssh-ed25519 AAAA\n",
            "known_hosts: must hold known host keys: ",
        ),
        ("known_hosts", b"\xff\xfe\n", "known_hosts: must hold known host keys: "),
    ],
)
def test_a_file_of_ssh_that_is_none_is_bad_input(
    server: Sshd, which: str, content: bytes, said: str
) -> None:
    getattr(server, which).write_bytes(content)
    with pytest.raises(BadInput) as caught:
        ran(lambda: ssh(server), "true")
    assert said in str(caught.value)
    assert server.commands == []


def test_a_key_with_a_passphrase_is_bad_input(server: Sshd) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(server.key), "pkcs8-pem", passphrase="s3cret")
    with pytest.raises(BadInput, match="user: must hold a private key without a passphrase"):
        ran(lambda: ssh(server), "true")


def test_what_is_wrong_with_ones_own_ssh_files_is_one_line(
    server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Port many\n")
    with pytest.raises(HostError, match=r"cannot be reached: .*config line 1"):
        ran(lambda: ssh(server), "true")


def test_secrets_that_do_not_arrive_are_told(server: Sshd) -> None:
    server.accepts_environment = False
    with pytest.raises(
        HostError, match="the secrets did not arrive: sshd's AcceptEnv must name TOKEN"
    ):
        ran(lambda: ssh(server), "true", TOKEN="s3cret")


def test_a_command_that_is_late_is_ended_over_ssh_by_a_signal(server: Sshd) -> None:
    time_out(lambda: ssh(server), "sleep", "600", has_begun=lambda: bool(server.signals))
    assert set(server.signals) == {"KILL"}


def test_a_connection_that_is_cut_fails_the_command_and_is_made_again(server: Sshd) -> None:
    async def go() -> CommandResult:
        made = ssh(server)
        try:
            command = asyncio.create_task(made.run(("sleep", "300"), 200.0, {}))
            while not server.commands:
                assert not command.done(), "it ended before the server ran it"
                await asyncio.sleep(0.01)  # between two looks whether it runs
            server.cut()
            with pytest.raises(HostError, match=r"sleep: .*(cut|lost)"):
                await command
            return await made.run(("echo", "again"), 60.0, {})
        finally:
            await made.close()

    assert asyncio.run(go()) == CommandResult(0, "again\n")


def test_a_machine_that_is_not_there(server: Sshd) -> None:
    with pytest.raises(HostError, match=r"cannot be reached: Connect call failed"):
        ran(
            lambda: Ssh(SshSpec(address="127.0.0.1", port=1, known_hosts=server.known_hosts)),
            "true",
        )
