"""The inventory: where a plan's instances really are, and how each step is done there.

Enters: a YAML file (or JSON, which is YAML). Leaves: a frozen `Inventory`, or one line that says
what is wrong. Commands are lists of arguments and never pass through a shell. Secrets stand in the
environment or in files of their own, and only their names here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator

from executor.base import placeholders
from executor.base.errors import BadInput
from executor.base.text_limits import MOST_YAML_BYTES, read_limited_text
from executor.base.yaml_positions import NOT_GIVEN, Key, Positions, load_yaml, plain
from executor.plan.model import PlanStop, Step

BEGINS: Literal["inventory/1"] = "inventory/1"

CommandStep = Literal["stop", "deploy", "verify", "start"]
"""The steps that are commands; taking out and returning is the balancer's."""

COMMAND_STEPS = tuple(Step(name) for name in get_args(CommandStep))

OWN_WORDS = (
    "instance",
    "server",
    "version",
    "old_version",
    "new_version",
    "stop_mode",
    "grace_s",
)
"""What may stand in braces in commands and addresses, beside an instance's own `values`."""

Command = tuple[str, ...]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VersionNames(_Part):
    """What an instance says at its version address, before and after."""

    old: str = Field(min_length=1)
    new: str = Field(min_length=1)


class HAProxySpec(_Part):
    """An HAProxy 2.6 or newer, by its Runtime API.

    Attributes:
        socket: The path of its stats socket, of level admin.
        tcp: ``HOST:PORT`` instead: nothing protects such a socket.
        backend: The backend that the servers are in.
        timeout_s: By when it must have answered a command.
        check_interval_s: Its ``inter``: needed only where ``fall`` is 1, see `docs/executor.md`.
    """

    socket: Path | None = None
    tcp: str | None = None
    backend: str = Field(min_length=1, pattern=r"^[\w.:-]+$")
    timeout_s: FiniteFloat = Field(default=5.0, gt=0)
    check_interval_s: FiniteFloat = Field(default=2.0, gt=0)


class BalancerSpec(_Part):
    """Which balancer, by its name."""

    haproxy: HAProxySpec


class LocalSpec(_Part):
    """This machine."""


class SshSpec(_Part):
    """Another machine, by ssh.

    Attributes:
        address: Its name or address.
        port: Of its sshd.
        user: Who logs in; by default who runs this.
        known_hosts: The file its host key must stand in; by default ``~/.ssh/known_hosts``.
        key: A private key, readable by its owner only; by default what the agent and ``~/.ssh`` have.
        connect_timeout_s: By when the connection must stand.
    """

    address: str = Field(min_length=1)
    port: int = Field(default=22, ge=1, le=65535)
    user: str | None = None
    known_hosts: Path | None = None
    key: Path | None = None
    connect_timeout_s: FiniteFloat = Field(default=10.0, gt=0)


class HostSpec(_Part):
    """A machine: `local` or `ssh`."""

    local: LocalSpec | None = None
    ssh: SshSpec | None = None


class Secret(_Part):
    """A secret by its place: a variable of the environment, or a file with mode 0600."""

    variable: str | None = None
    file: Path | None = None


class _How(_Part):
    """How an instance is stopped, deployed, verified and started, and where it answers.

    Attributes:
        host: The machine that the commands run on; by default the only one, or this one.
        stop: Ends it; with the placeholders of `OWN_WORDS` and `values` in braces.
        deploy: Puts the version in place.
        verify: Checks what was put in place before it is started; may be left out.
        start: Starts it.
        health: The address that answers 2xx when it is healthy.
        version: The address that says which version answers: as text, or JSON with ``version``.
        values: More words for the placeholders, such as a port.
    """

    host: str | None = None
    stop: Command | None = Field(default=None, min_length=1)
    deploy: Command | None = Field(default=None, min_length=1)
    verify: Command | None = Field(default=None, min_length=1)
    start: Command | None = Field(default=None, min_length=1)
    health: str | None = None
    version: str | None = None
    values: dict[str, str] = Field(default_factory=dict)

    @field_validator("values")
    @classmethod
    def _are_placeholders(cls, values: dict[str, str]) -> dict[str, str]:
        for name in values:
            if re.fullmatch(r"[\w-]+", name) is None:
                raise ValueError(f"{name} must be a name of letters, digits, _ and -")
            if name in OWN_WORDS:
                raise ValueError(f"{name} must not be one of Rollcast's own words")
        return values


class Defaults(_How):
    """What holds for every instance that does not say otherwise."""


class InstanceSpec(_How):
    """One instance of the plan.

    Attributes:
        server: Its name in the balancer's backend; by default the instance's own.
    """

    server: str | None = Field(default=None, pattern=r"^[\w.:-]+$")


class Inventory(_Part):
    """Where a fleet is and how it is handled.

    Attributes:
        rollcast: Which kind of file this is.
        service: The plan's service.
        versions: The names of both versions.
        balancer: What routes its requests.
        hosts: The machines by name; without any, this one.
        defaults: What holds for every instance.
        instances: By the plan's names.
        secrets: For the commands' environment, by the name of the variable there.
        trust: Public keys; with any, only plans signed by one of them are carried out.
        poll_s: How often the balancer is looked at.
    """

    rollcast: Literal["inventory/1"]
    service: str
    versions: VersionNames
    balancer: BalancerSpec
    hosts: dict[str, HostSpec] = Field(default_factory=dict)
    defaults: Defaults = Defaults()
    instances: dict[str, InstanceSpec] = Field(min_length=1)
    secrets: dict[str, Secret] = Field(default_factory=dict)
    trust: tuple[Path, ...] = ()
    poll_s: FiniteFloat = Field(default=0.5, gt=0, le=60)

    @field_validator("secrets")
    @classmethod
    def _are_names(cls, secrets: dict[str, Secret]) -> dict[str, Secret]:
        for name in secrets:
            if not name.isidentifier():
                raise ValueError(f"{name} must be the name of a variable")
        return secrets

    def targets(self, stop: PlanStop = PlanStop()) -> dict[str, Target]:  # noqa: B008 # it is frozen
        """Every instance with everything filled in, by name.

        Args:
            stop: The plan's, for the placeholders.
        """
        return {name: Target(self, name, stop) for name in self.instances}

    def host_of(self, name: str) -> str:
        """The name of an instance's machine."""
        said = self.instances[name].host or self.defaults.host
        return said or (next(iter(self.hosts)) if len(self.hosts) == 1 else "local")


class Target:
    """One instance of an inventory with its defaults and placeholders filled in.

    Attributes:
        name: The instance's name in the plan.
        server: Its name in the balancer's backend.
        host: The name of its machine.
    """

    def __init__(self, inventory: Inventory, name: str, stop: PlanStop) -> None:
        self._inventory = inventory
        self._stop = stop
        self._spec = inventory.instances[name]
        self.name = name
        self.server = self._spec.server or name
        self.host = inventory.host_of(name)

    def command(self, step: Step, version: str) -> Command | None:
        """The arguments of a step's command; None where there is none to run."""
        said: Command | None = self._said(step.value)
        return None if said is None else tuple(self._filled(one, version) for one in said)

    def health_url(self) -> str:
        """The address that answers 2xx when the instance is healthy."""
        return self._filled(self._said("health"), "")

    def version_url(self) -> str:
        """The address that says its version."""
        return self._filled(self._said("version"), "")

    def _said(self, key: str) -> Any:
        own = getattr(self._spec, key)
        return getattr(self._inventory.defaults, key) if own is None else own

    def _filled(self, text: str, version: str) -> str:
        return placeholders.fill(text, self.words(version))

    def words(self, version: str) -> Mapping[str, str]:
        """What the placeholders stand for."""
        names = self._inventory.versions
        how = (self._stop.mode, f"{self._stop.grace_s:.15g}")
        own = (self.name, self.server, version, names.old, names.new, *how)
        return {
            **self._inventory.defaults.values,
            **self._spec.values,
            **dict(zip(OWN_WORDS, own, strict=True)),
        }


def read_inventory(path: Path) -> Inventory:
    """Reads an inventory and checks its form and the rules across its keys.

    Relative paths in it are seen from its folder.

    Raises:
        BadInput: Anything wrong with it, in one line.
    """
    try:
        text = read_limited_text(path, MOST_YAML_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or error
        raise BadInput(f"{path}: cannot be read: {said}") from None
    where = Positions(
        str(path), load_yaml(text, str(path), BEGINS), Inventory.model_json_schema(by_alias=True)
    )
    try:
        inventory = Inventory.model_validate(plain(where.root))
    except ValidationError as error:
        raise BadInput(where.message(error)) from None
    for key, value, rule in broken_rules(inventory):
        raise BadInput(where.broken(key, value, rule))
    return _seen_from(path.parent.absolute(), inventory)


def inventory_schema() -> dict[str, Any]:
    """The JSON Schema of an inventory file, for ``assets/``."""
    schema = Inventory.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Rollcast inventory",
    }


def broken_rules(inventory: Inventory) -> Iterator[tuple[Key, object, str]]:
    """The rules across keys that an inventory breaks: key, value and rule of each."""
    haproxy = inventory.balancer.haproxy
    if (haproxy.socket is None) == (haproxy.tcp is None):
        yield ("balancer", "haproxy"), NOT_GIVEN, "needs either a socket or tcp"
    if haproxy.tcp is not None and not _is_host_and_port(haproxy.tcp):
        yield ("balancer", "haproxy", "tcp"), haproxy.tcp, "must be HOST:PORT"
    names = inventory.versions
    if names.old == names.new:
        yield ("versions", "new"), names.new, f"must differ from the old version ({names.old})"
    for name, host in inventory.hosts.items():
        if (host.local is None) == (host.ssh is None):
            yield ("hosts", name), NOT_GIVEN, "must be either local or ssh"
    for name, secret in inventory.secrets.items():
        if (secret.variable is None) == (secret.file is None):
            yield ("secrets", name), NOT_GIVEN, "needs either a variable or a file"
    targets = inventory.targets()
    servers = Counter(target.server for target in targets.values())
    for name, target in targets.items():
        if servers[target.server] > 1:
            yield ("instances", name), target.server, "its server must be that of no other instance"
        yield from _broken_in(inventory, name, target)


def _broken_in(
    inventory: Inventory, name: str, target: Target
) -> Iterator[tuple[Key, object, str]]:
    """The rules that one instance breaks."""
    at: Key = ("instances", name)
    if target.host not in inventory.hosts and (inventory.hosts or target.host != "local"):
        known = ", ".join(inventory.hosts) or "local"
        yield (*at, "host"), target.host, f"must be one of the hosts ({known})"
    spec, defaults = inventory.instances[name], inventory.defaults
    words = target.words("")
    for key in (*get_args(CommandStep), "health", "version"):
        own = getattr(spec, key)
        said = getattr(defaults, key) if own is None else own
        place: Key = ("defaults", key) if own is None else (*at, key)
        if said is None:
            if key != "verify":
                yield (*at, key), NOT_GIVEN, "is missing, here and in defaults"
            continue
        if isinstance(said, str):
            yield from _broken_in_address(place, said, words)
            continue
        for number, text in enumerate(said):
            problem = placeholders.broken_rule(text, words)
            if problem is not None:
                yield (*place, number), text, problem


def _broken_in_address(
    place: Key, text: str, words: Mapping[str, str]
) -> Iterator[tuple[Key, object, str]]:
    """The rules that an address breaks."""
    # An instance is asked before and after its version changes, so no one version is meant.
    known = {name: word for name, word in words.items() if name != "version"}
    problem = placeholders.broken_rule(text, known)
    if problem is not None:
        yield place, text, problem
    elif not _is_http(placeholders.fill(text, known)):
        yield place, text, "must be an http:// or https:// address"


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_host_and_port(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    return bool(host and colon and port.isdecimal() and 0 < int(port) < 65536)


def _seen_from(folder: Path, inventory: Inventory) -> Inventory:
    """The inventory with its relative paths as seen from its folder."""

    def placed(part: Any, *keys: str) -> Any:
        """The part with these of its paths put into place."""
        found = {k: folder / getattr(part, k).expanduser() for k in keys if getattr(part, k)}
        return part.model_copy(update=found)

    hosts = {
        name: host.model_copy(update={"ssh": placed(host.ssh, "known_hosts", "key")})
        if host.ssh
        else host
        for name, host in inventory.hosts.items()
    }
    return inventory.model_copy(
        update={
            "balancer": BalancerSpec(haproxy=placed(inventory.balancer.haproxy, "socket")),
            "hosts": hosts,
            "secrets": {name: placed(one, "file") for name, one in inventory.secrets.items()},
            "trust": tuple(folder / path.expanduser() for path in inventory.trust),
        }
    )
