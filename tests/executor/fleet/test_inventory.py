"""Inventories: what they say, and what is wrong with them in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.base.errors import BadInput
from executor.fleet.inventory import read_inventory
from executor.fleet.secret_files import read_secrets
from executor.plan.model import PlanStop, Step

GOOD = """\
rollcast: inventory/1
service: checkout
versions: {old: "1.0", new: "1.1"}
balancer:
  haproxy: {socket: run/haproxy.sock, backend: shop}
hosts:
  near: {local: {}}
  far: {ssh: {address: web2.example, known_hosts: known_hosts}}
defaults:
  host: near
  stop: [systemctl, stop, "checkout@{port}", "{stop_mode}", "{grace_s}"]
  deploy: [install-checkout, "{version}", --keep, "{old_version}"]
  start: [systemctl, start, "checkout@{port}"]
  health: http://{address}:{port}/healthz
  version: http://{address}:{port}/version
  values: {address: 127.0.0.1}
instances:
  checkout-1: {values: {port: "8001"}}
  checkout-2: {host: far, server: s2, values: {port: "8002", address: web2.example}}
secrets:
  TOKEN: {variable: DEPLOY_TOKEN}
trust: [release.pub]
"""


def test_everything_is_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text(GOOD)
    read = read_inventory(path)
    assert read.balancer.haproxy.socket == tmp_path / "run" / "haproxy.sock"
    assert read.trust == (tmp_path / "release.pub",)
    stop = PlanStop(mode="abrupt", grace_s=2.5)
    one, two = read.targets(stop).values()
    assert (one.server, one.host, two.server, two.host) == ("checkout-1", "near", "s2", "far")
    assert one.command(Step.STOP, "1.1") == ("systemctl", "stop", "checkout@8001", "abrupt", "2.5")
    assert two.command(Step.DEPLOY, "1.1") == ("install-checkout", "1.1", "--keep", "1.0")
    assert two.command(Step.VERIFY, "1.1") is None
    assert one.health_url() == "http://127.0.0.1:8001/healthz"
    assert two.version_url() == "http://web2.example:8002/version"
    ssh = read.hosts["far"].ssh
    assert ssh is not None
    assert ssh.known_hosts == tmp_path / "known_hosts"


ALONE = "{port} must stand alone in its braces, without a conversion or a format"

BAD = [
    (
        "service: checkout\n",
        "servce: checkout\n",
        ":2: servce: checkout: unknown key (nearest: service)",
    ),
    ("service: checkout\n", "", ": service: is missing"),
    ("inventory/1", "scenario/1", ":1: rollcast: scenario/1: must be inventory/1"),
    ('new: "1.1"', 'new: "1.0"', "versions.new: 1.0: must differ from the old version (1.0)"),
    ("socket: run/haproxy.sock, ", "", "balancer.haproxy: needs either a socket or tcp"),
    ("socket: run/haproxy.sock", "tcp: here", "balancer.haproxy.tcp: here: must be HOST:PORT"),
    ("backend: shop", 'backend: "a; b"', ":5: balancer.haproxy.backend: a; b:"),
    ("near: {local: {}}", "near: {}", ":7: hosts.near: must be either local or ssh"),
    (
        "{host: far, ",
        "{host: fra, ",
        ":19: instances.checkout-2.host: fra: must be one of the hosts",
    ),
    ("server: s2", "server: checkout-1", "its server must be that of no other instance"),
    (
        'stop, "checkout@{port}"',
        'stop, "checkout@{prot}"',
        "defaults.stop.2: checkout@{prot}: {prot} must be one of",
    ),
    ('stop, "checkout@{port}"', 'stop, "checkout@{"', "has a brace too few or too many"),
    *(
        (
            f"{key}: {text}",
            f"{key}: {text.replace('{port}', placeholder)}",
            f":{line}: defaults.{place}: {shown.replace('X', placeholder)}: {rule}",
        )
        for key, place, line, text, shown in (
            ("stop", "stop.2", 11, '[systemctl, stop, "checkout@{port}"', "checkout@X"),
            ("start", "start.2", 13, '[systemctl, start, "checkout@{port}"', "checkout@X"),
            ("health", "health", 14, "http://{address}:{port}/h", "http://{address}:X/healthz"),
            ("version", "version", 15, "http://{address}:{port}/v", "http://{address}:X/version"),
        )
        for placeholder, rule in (
            ("{port:d}", ALONE),
            ("{port!r}", ALONE),
            ("{port:{address}}", ALONE),
            ("{port.real}", "{port.real} must be one of"),
            ("{port[0]}", "{port[0]} must be one of"),
            ("{0}", "{0} must be one of"),
            ("{}", "{} must be one of"),
            ("{prot}", "{prot} must be one of"),
            ("{port", "has a brace too few or too many"),
            ("port}", "has a brace too few or too many"),
        )
    ),
    (
        "http://{address}:{port}/healthz",
        "http://{address}:{port}/{version}",
        "defaults.health: http://{address}:{port}/{version}: {version} must be one of",
    ),
    (
        "values: {address: 127.0.0.1}",
        'values: {address: 127.0.0.1, "a.b": x}',
        "defaults.values: {address: 127.0.0.1, a.b: x}: a.b must be a name of letters",
    ),
    (
        "values: {address: 127.0.0.1}",
        "values: {address: 127.0.0.1, version: x}",
        "version must not be one of Rollcast's own words",
    ),
    (
        "http://{address}:{port}/healthz",
        "/healthz",
        "defaults.health: /healthz: must be an http://",
    ),
    (
        '  start: [systemctl, start, "checkout@{port}"]\n',
        "",
        "checkout-1.start: is missing, here and in defaults",
    ),
    (
        'stop: [systemctl, stop, "checkout@{port}", "{stop_mode}", "{grace_s}"]',
        "stop: systemctl stop",
        "must be a list",
    ),
    ("{variable: DEPLOY_TOKEN}", "{}", "secrets.TOKEN: needs either a variable or a file"),
    ("  TOKEN:", "  A-B:", "A-B must be the name of a variable"),
    (GOOD, "[]", "an inventory is a mapping that begins with rollcast: inventory/1"),
    (GOOD, "a: [", "is not YAML"),
    (GOOD, f"a: {'[' * 400}{']' * 400}", ":1: is nested too deeply: must not exceed 100 levels"),
]


@pytest.mark.parametrize(("was", "now", "said"), BAD)
def test_what_is_wrong_is_one_line(tmp_path: Path, was: str, now: str, said: str) -> None:
    path = tmp_path / "inventory.yaml"
    assert was in GOOD
    path.write_text(GOOD.replace(was, now, 1))
    with pytest.raises(BadInput) as caught:
        read_inventory(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_a_brace_that_means_itself_is_one(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text(GOOD.replace("--keep", '"{{keep}}{port}"', 1))
    target = read_inventory(path).targets()["checkout-1"]
    assert target.command(Step.DEPLOY, "1.1") == ("install-checkout", "1.1", "{keep}8001", "1.0")


def test_secrets_come_from_the_environment_or_a_file_of_the_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text(GOOD + "")
    read = read_inventory(path)
    with pytest.raises(BadInput, match="secret TOKEN: variable DEPLOY_TOKEN must be set"):
        read_secrets(read)
    monkeypatch.setenv("DEPLOY_TOKEN", "s3cret")
    assert read_secrets(read) == {"TOKEN": "s3cret"}
    path.write_text(GOOD.replace("variable: DEPLOY_TOKEN", "file: token"))
    read = read_inventory(path)
    with pytest.raises(BadInput, match="token: cannot be read: No such file"):
        read_secrets(read)
    (tmp_path / "token").write_text("s3cret\n")
    (tmp_path / "token").chmod(0o640)
    with pytest.raises(BadInput, match=r"token: mode \(0640\) must be 0600"):
        read_secrets(read)
    (tmp_path / "token").chmod(0o600)
    assert read_secrets(read) == {"TOKEN": "s3cret"}


def test_a_grace_period_is_said_as_people_write_it(tmp_path: Path) -> None:
    (tmp_path / "inventory.yaml").write_text(GOOD)
    read = read_inventory(tmp_path / "inventory.yaml")
    said = [
        read.targets(PlanStop(grace_s=grace_s))["checkout-1"].words("")["grace_s"]
        for grace_s in (30.0, 0.0, 2.5, 86400.0, 1234567.0)
    ]
    assert said == ["30", "0", "2.5", "86400", "1234567"]
