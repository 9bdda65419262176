"""The inventory: where a plan's instances are, and how each step is done there.

An inventory is a YAML file (or JSON, which is YAML). Commands are lists of arguments and never pass
through a shell. Secrets are in the environment or in files of their own; the inventory has only
their names.
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
"""The steps that run a command; the balancer does the other two, take_out and return."""

OWN_WORDS = (
    "instance",
    "server",
    "version",
    "old_version",
    "new_version",
    "stop_mode",
    "grace_s",
)
"""Placeholders in commands and addresses, in addition to an instance's own `values`."""

Command = tuple[str, ...]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VersionNames(_Part):
    """The answers of an instance's version address: before the rollout and after it."""

    old: str = Field(min_length=1)
    new: str = Field(min_length=1)


class HAProxySpec(_Part):
    """An HAProxy 2.6 or newer with its Runtime API.

    Attributes:
        socket: The path of its stats socket, which needs level admin.
        tcp: ``HOST:PORT`` of the stats socket instead of a path; nothing protects such a socket.
        backend: The backend that has the servers.
        timeout_s: Maximum time for the answer to a command.
        check_interval_s: The ``inter`` of its health checks. It is used only where ``fall`` is 1, see
            `docs/executor.md`.
    """

    socket: Path | None = None
    tcp: str | None = None
    backend: str = Field(min_length=1, pattern=r"^[\w.:-]+$")
    timeout_s: FiniteFloat = Field(default=5.0, gt=0)
    check_interval_s: FiniteFloat = Field(default=2.0, gt=0)


class BalancerSpec(_Part):
    """The balancer."""

    haproxy: HAProxySpec


class LocalSpec(_Part):
    """The machine that the executor runs on."""


class SshSpec(_Part):
    """A machine that is reached by ssh.

    Attributes:
        address: Its name or address.
        port: The port of its sshd.
        user: The user that logs in (default: the user that runs the executor).
        known_hosts: The file that must have its host key (default: ``~/.ssh/known_hosts``).
        key: A private key that only its owner can read (default: the keys of the agent and of
            ``~/.ssh``).
        connect_timeout_s: Maximum time to connect.
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
    """The place of a secret: a variable of the environment, or a file with mode 0600."""

    variable: str | None = None
    file: Path | None = None


class _How(_Part):
    """The commands and addresses of an instance.

    Attributes:
        host: The machine that runs the commands (default: the only one, or this one).
        stop: The command that stops it, with the placeholders of `OWN_WORDS` and `values` in braces.
        deploy: The command that installs the version.
        verify: The command that checks the installed version before it is started; may be left out.
        start: The command that starts it.
        health: The address that answers 2xx when the instance is healthy.
        version: The address that answers with the version: as text, or as JSON with ``version``.
        values: More placeholders with their values, such as a port.
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
    def _check_placeholders(cls, values: dict[str, str]) -> dict[str, str]:
        for name in values:
            if re.fullmatch(r"[\w-]+", name) is None:
                raise ValueError(f"{name} must be a name of letters, digits, _ and -")
            if name in OWN_WORDS:
                raise ValueError(f"{name} must not be one of Rollcast's own words")
        return values


class Defaults(_How):
    """The values for every instance that has none of its own."""


class InstanceSpec(_How):
    """One instance of the plan.

    Attributes:
        server: Its name in the balancer's backend (default: the instance's name).
    """

    server: str | None = Field(default=None, pattern=r"^[\w.:-]+$")


class Inventory(_Part):
    """Where a fleet is, and how each step is done there.

    Attributes:
        rollcast: The kind of this file.
        service: The plan's service.
        versions: The names of both versions.
        balancer: The balancer that routes the service's requests.
        hosts: The machines by name; without any, this machine.
        defaults: The values for every instance that has none of its own.
        instances: The instances by their names in the plan.
        secrets: Secrets for the commands' environment, by the name of the variable there.
        trust: Trusted public keys; with any, only plans that one of them signed are carried out.
        poll_s: Seconds between two polls of the balancer.
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
    def _check_names(cls, secrets: dict[str, Secret]) -> dict[str, Secret]:
        for name in secrets:
            if not name.isidentifier():
                raise ValueError(f"{name} must be the name of a variable")
        return secrets

    def targets(self, stop: PlanStop = PlanStop()) -> dict[str, Target]:  # noqa: B008 # it is frozen
        """Return every instance with its defaults and placeholders filled in, by name.

        Args:
            stop: The plan's stop, for the placeholders ``stop_mode`` and ``grace_s``.
        """
        return {name: Target(self, name, stop) for name in self.instances}

    def host_of(self, name: str) -> str:
        """Return the name of an instance's machine."""
        host = self.instances[name].host or self.defaults.host
        return host or (next(iter(self.hosts)) if len(self.hosts) == 1 else "local")


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
        """Return the arguments of a step's command; None where the step has no command."""
        command: Command | None = self._value(step.value)
        if command is None:
            return None
        return tuple(self._fill(argument, version) for argument in command)

    def health_url(self) -> str:
        """Return the address that answers 2xx when the instance is healthy."""
        return self._fill(self._value("health"), "")

    def version_url(self) -> str:
        """Return the address that answers with the version."""
        return self._fill(self._value("version"), "")

    def _value(self, key: str) -> Any:
        own = getattr(self._spec, key)
        return getattr(self._inventory.defaults, key) if own is None else own

    def _fill(self, text: str, version: str) -> str:
        return placeholders.fill(text, self.words(version))

    def words(self, version: str) -> Mapping[str, str]:
        """Return the placeholders with their values."""
        names = self._inventory.versions
        stop = (self._stop.mode, f"{self._stop.grace_s:.15g}")
        own = (self.name, self.server, version, names.old, names.new, *stop)
        return {
            **self._inventory.defaults.values,
            **self._spec.values,
            **dict(zip(OWN_WORDS, own, strict=True)),
        }


def read_inventory(path: Path) -> Inventory:
    """Read an inventory and check its schema and the rules across its keys.

    Relative paths in an inventory are relative to its folder.

    Raises:
        BadInput: The file cannot be read or breaks a rule.
    """
    try:
        text = read_limited_text(path, MOST_YAML_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{path}: cannot be read: {reason}") from None
    positions = Positions(
        str(path), load_yaml(text, str(path), BEGINS), Inventory.model_json_schema(by_alias=True)
    )
    try:
        inventory = Inventory.model_validate(plain(positions.root))
    except ValidationError as error:
        raise BadInput(positions.message(error)) from None
    for key, value, rule in broken_rules(inventory):
        raise BadInput(positions.broken(key, value, rule))
    return _resolve_paths(path.parent.absolute(), inventory)


def inventory_schema() -> dict[str, Any]:
    """Return the JSON Schema of an inventory file, for ``assets/``."""
    schema = Inventory.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Rollcast inventory",
    }


def broken_rules(inventory: Inventory) -> Iterator[tuple[Key, object, str]]:
    """Yield key, value and rule for each rule across keys that an inventory breaks."""
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
        yield from _broken_rules_of_instance(inventory, name, target)


def _broken_rules_of_instance(
    inventory: Inventory, name: str, target: Target
) -> Iterator[tuple[Key, object, str]]:
    """Yield key, value and rule for each rule that an instance breaks."""
    at: Key = ("instances", name)
    if target.host not in inventory.hosts and (inventory.hosts or target.host != "local"):
        known = ", ".join(inventory.hosts) or "local"
        yield (*at, "host"), target.host, f"must be one of the hosts ({known})"
    spec, defaults = inventory.instances[name], inventory.defaults
    words = target.words("")
    for key in (*get_args(CommandStep), "health", "version"):
        own = getattr(spec, key)
        value = getattr(defaults, key) if own is None else own
        place: Key = ("defaults", key) if own is None else (*at, key)
        if value is None:
            if key != "verify":
                yield (*at, key), NOT_GIVEN, "is missing, here and in defaults"
            continue
        if isinstance(value, str):
            yield from _broken_rules_of_address(place, value, words)
            continue
        for number, text in enumerate(value):
            problem = placeholders.broken_rule(text, words)
            if problem is not None:
                yield (*place, number), text, problem


def _broken_rules_of_address(
    place: Key, text: str, words: Mapping[str, str]
) -> Iterator[tuple[Key, object, str]]:
    """Yield key, value and rule for the rule that an address breaks."""
    # An instance is probed with its old and its new version, so an address has no {version}.
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


def _resolve_paths(folder: Path, inventory: Inventory) -> Inventory:
    """Return the inventory with its paths made absolute: relative ones are in its folder."""

    def resolve(part: Any, *keys: str) -> Any:
        paths = {k: folder / getattr(part, k).expanduser() for k in keys if getattr(part, k)}
        return part.model_copy(update=paths)

    hosts = {
        name: host.model_copy(update={"ssh": resolve(host.ssh, "known_hosts", "key")})
        if host.ssh
        else host
        for name, host in inventory.hosts.items()
    }
    return inventory.model_copy(
        update={
            "balancer": BalancerSpec(haproxy=resolve(inventory.balancer.haproxy, "socket")),
            "hosts": hosts,
            "secrets": {
                name: resolve(secret, "file") for name, secret in inventory.secrets.items()
            },
            "trust": tuple(folder / path.expanduser() for path in inventory.trust),
        }
    )
