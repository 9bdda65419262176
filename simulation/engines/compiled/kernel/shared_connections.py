"""The connections that requests share, compiled: `shared_connections` of the reference engine.

Each function does the same as the reference's function of that name, in the same order. Connections
are numbered over all services.
"""

from __future__ import annotations

from simulation.engines.compiled.kernel.belief import connections
from simulation.engines.compiled.kernel.build import part
from simulation.engines.compiled.kernel.draws import CONNECTION, CONNECTION_AGE, uniform
from simulation.engines.compiled.kernel.memory import (
    AGE,
    header_at,
    instance_at,
    service_at,
    shared_at,
)
from simulation.engines.compiled.kernel.policies import pick, update
from simulation.engines.compiled.kernel.timers import set_timer
from simulation.requests.plane import AGES, FIRST_PICK
from simulation.scenario.limits import CONNECTION_BITS


@part
def open_next(p: int, s: int) -> None:
    """Open the service's next connection at the beginning, with its age."""
    h = header_at(p, 0)
    service = service_at(h.services, s)
    k = service.shared_next
    service.shared_next += 1
    g = pick(p, s, FIRST_PICK + k, k, True)
    age_s = 0.0
    if service.max_age > 0:
        age_s = service.max_age * uniform(service.key, CONNECTION_AGE, k)
    open_shared(p, s, service.shared_first + k, g, h.now - age_s)


@part
def draw(p: int, s: int, order: int) -> int:
    """Return the connection that an attempt takes."""
    service = service_at(header_at(p, 0).services, s)
    return service.shared_first + int(
        uniform(service.key, CONNECTION, order) * service.shared_count
    )


@part
def _count_connections(p: int, g: int) -> None:
    """Pass the number of connections of an instance to the policy."""
    h = header_at(p, 0)
    instance = instance_at(h.instances, g)
    s = instance.service
    service = service_at(h.services, s)
    if service.counts:
        update(p, s, g - service.first, connections(p, g), instance.is_believed == 1, True)


@part
def open_shared(p: int, s: int, k: int, g: int, opened: float) -> None:
    """Open a closed connection of a service to an instance."""
    h = header_at(p, 0)
    connection = shared_at(h.shared, k)
    connection.instance = g
    connection.openings += 1
    connection.is_old = 0
    instance_at(h.instances, g).shared_open += 1
    _count_connections(p, g)
    service = service_at(h.services, s)
    if service.max_age > 0:
        old = max(h.now, opened + service.max_age)
        key = AGES + (s << CONNECTION_BITS) + (k - service.shared_first)
        set_timer(p, old, key, AGE, k, connection.openings)


@part
def on_age(p: int, k: int, openings: int) -> None:
    """Note that a connection is older than `max_age`; ``openings`` tells whether it is the same one."""
    connection = shared_at(header_at(p, 0).shared, k)
    if connection.instance >= 0 and connection.openings == openings:
        connection.is_old = 1
        _close_if_due(p, k)


@part
def _close_if_due(p: int, k: int) -> None:
    h = header_at(p, 0)
    connection = shared_at(h.shared, k)
    is_due = connection.is_old or instance_at(h.instances, connection.instance).closes
    if is_due and connection.in_flight == 0:
        _close(p, k)


@part
def _close(p: int, k: int) -> None:
    h = header_at(p, 0)
    connection = shared_at(h.shared, k)
    g = int(connection.instance)
    connection.instance = -1
    instance_at(h.instances, g).shared_open -= 1
    _count_connections(p, g)


@part
def end_on_shared(p: int, k: int) -> None:
    """Note that a request over the connection has left its instance."""
    shared_at(header_at(p, 0).shared, k).in_flight -= 1
    _close_if_due(p, k)


@part
def set_closes(p: int, g: int, closes: int) -> None:
    """Set whether each connection of the instance is closed once its requests have finished."""
    h = header_at(p, 0)
    instance = instance_at(h.instances, g)
    instance.closes = closes
    if closes:
        service = service_at(h.services, instance.service)
        for k in range(service.shared_first, service.shared_first + service.shared_count):
            if shared_at(h.shared, k).instance == g:
                _close_if_due(p, k)


@part
def close_all(p: int, g: int) -> None:
    """Close every connection of an instance at which no request is left."""
    h = header_at(p, 0)
    service = service_at(h.services, instance_at(h.instances, g).service)
    for k in range(service.shared_first, service.shared_first + service.shared_count):
        if shared_at(h.shared, k).instance == g:
            _close(p, k)
