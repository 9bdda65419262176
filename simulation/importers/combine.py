"""Several sources about one fleet: who tells what, and what contradicts.

Enters: the `Findings` of each source. Leaves: one `Findings`, in which each key has one basis. The
weightier source is taken and the other named; two of the same weight that differ are refused.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from executor.base.errors import BadInput
from simulation.importers.findings import UNNAMED, Durations, Finding, Findings, ServiceFindings
from simulation.importers.readers import manifest

DEFAULT_NAME = "web"
"""Of a service that no source names."""


def combine(sources: Sequence[Findings], service: str | None = None) -> Findings:
    """What all sources say together.

    Args:
        sources: What each says.
        service: The one service that is meant, where sources know of several.

    Raises:
        BadInput: Two contradict, or one does not say which service it is about.
    """
    whole = Findings("", "")
    for one in sources:
        whole.notes += one.notes
    named = _by_name(sources, service, whole.notes)
    _take_arrivals(named, whole.notes)
    for one in named:
        for name, found in one.services.items():
            _merge(name, whole.services.setdefault(name, ServiceFindings()), found, whole.notes)
    if any(one.arrivals for one in whole.services.values()):
        silent = [name for name, one in whole.services.items() if one.arrivals is None]
        for name in silent:
            del whole.services[name]
        if silent:
            whole.notes.append(f"{', '.join(silent)}: no source tells its traffic, left out")
    return whole


def _by_name(sources: Sequence[Findings], service: str | None, notes: list[str]) -> list[Findings]:
    """The sources with the same names for the same services."""
    if service is not None:
        return [_only(one, service, notes) for one in sources]
    several = [one for one in sources if len(one.services) > 1]
    if several:
        known = list(dict.fromkeys(name for one in several for name in one.services))
        for one in sources:
            (name, *rest) = one.services
            if not rest and name not in known:
                raise BadInput(
                    f"{one.source}: is about one service, and {several[0].source} knows "
                    f"{_listed(known)}: say which with --service NAME"
                )
        return list(sources)
    names = {name: one for one in sources for name in one.services if name != UNNAMED}
    best = max(names, key=lambda name: names[name].kind == manifest.KIND, default=DEFAULT_NAME)
    return [_only(one, best, notes) for one in sources]


def _only(one: Findings, service: str, notes: list[str]) -> Findings:
    """A source with what it says of the service alone, under that name."""
    if service in one.services:
        found = one.services[service]
    elif len(one.services) == 1:
        ((name, found),) = one.services.items()
        if name != UNNAMED:
            notes.append(f"assumed: {name} in {one.source} is {service}")
    else:
        near = difflib.get_close_matches(service, one.services, n=1, cutoff=0.5)
        said = f" (nearest: {near[0]})" if near else ""
        raise BadInput(
            f"--service {service}: {one.source} has no such service, it has "
            f"{_listed(list(one.services))}{said}"
        )
    return Findings(one.kind, one.source, {service: found}, one.notes)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name or "one without a name" for name in names[:12])
    return shown if len(names) <= 12 else f"{shown} and {len(names) - 12} more"


def _take_arrivals(sources: Sequence[Findings], notes: list[str]) -> None:
    """Traffic comes from one source, so that its shares and its clock are of one piece."""
    tell = [
        (max(a.weight for a in found), one)
        for one in sources
        if (found := [each.arrivals for each in one.services.values() if each.arrivals])
    ]
    if len(tell) < 2:
        return
    tell.sort(key=lambda pair: -pair[0])
    (first, best), (second, other) = tell[:2]
    if first == second:
        raise BadInput(
            f"{best.source} and {other.source}: both tell the traffic, {_rate(best):.4g}/s and "
            f"{_rate(other):.4g}/s in the mean: give one of the two"
        )
    for _, one in tell[1:]:
        notes.append(f"traffic is {best.source}'s; {one.source} has {_rate(one):.4g}/s in the mean")
        for each in one.services.values():
            each.arrivals = None


def _rate(one: Findings) -> float:
    return sum(found.arrivals.mean_rps for found in one.services.values() if found.arrivals)


def _merge(name: str, into: ServiceFindings, found: ServiceFindings, notes: list[str]) -> None:
    into.arrivals = into.arrivals or found.arrivals
    into.service_time = _weightier(
        name, "service_time", into.service_time, found.service_time, notes
    )
    for keys, more in ((into.service, found.service), (into.rollout, found.rollout)):
        for key, told in more.items():
            taken = _weightier(name, key, keys.get(key), told, notes)
            assert taken is not None
            keys[key] = taken


def _weightier(
    name: str, key: str, one: Finding | None, other: Finding | None, notes: list[str]
) -> Finding | None:
    if one is None or other is None:
        return one or other
    if _same(one.value, other.value):
        return max(one, other, key=lambda told: told.weight)
    if one.weight == other.weight:
        raise BadInput(
            f"{one.source} and {other.source}: both tell {key} of {name}, {_shown(one.value)} and "
            f"{_shown(other.value)}: give one of the two"
        )
    less, more = sorted((one, other), key=lambda told: told.weight)
    notes.append(
        f"{key} of {name} is {_shown(more.value)} by {more.source}; {less.source} has "
        f"{_shown(less.value)}"
    )
    return more


def _same(one: object, other: object) -> bool:
    if isinstance(one, Durations) or isinstance(other, Durations):
        return False
    return one == other or one == (len(other) if isinstance(other, list) else other)


def _shown(value: object) -> str:
    if isinstance(value, Durations):
        return f"{len(value.samples_s):,} durations"
    return f"{len(value)} servers" if isinstance(value, list) else str(value)


def sources_text(sources: Sequence[Findings]) -> Iterator[str]:
    """Each source with its kind, for people."""
    for one in sources:
        yield f"{one.source} ({one.kind})"
