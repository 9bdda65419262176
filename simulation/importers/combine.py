"""Merging the findings of several sources about one fleet.

Each key gets the value of the source with the higher weight, and a note names the other source. Two
different values of the same weight are an error.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from executor.base.errors import BadInput
from simulation.importers.findings import UNNAMED, Durations, Finding, Findings, ServiceFindings
from simulation.importers.readers import manifest

DEFAULT_NAME = "web"
"""The name of a service that no source names."""


def combine(sources: Sequence[Findings], service: str | None = None) -> Findings:
    """Return the merged findings of all sources.

    Args:
        sources: The findings of each source.
        service: The service to import, where sources contain several; None for all.

    Raises:
        BadInput: Two sources contradict each other, or one does not name its service.
    """
    merged = Findings("", "")
    for source in sources:
        merged.notes += source.notes
    named = _by_name(sources, service, merged.notes)
    _take_arrivals(named, merged.notes)
    for source in named:
        for name, findings in source.services.items():
            _merge(
                name, merged.services.setdefault(name, ServiceFindings()), findings, merged.notes
            )
    if any(findings.arrivals for findings in merged.services.values()):
        silent = [name for name, findings in merged.services.items() if findings.arrivals is None]
        for name in silent:
            del merged.services[name]
        if silent:
            merged.notes.append(f"{', '.join(silent)}: no source tells its traffic, left out")
    return merged


def _by_name(sources: Sequence[Findings], service: str | None, notes: list[str]) -> list[Findings]:
    """Return the sources so that they have the same name for the same service."""
    if service is not None:
        return [_select_service(source, service, notes) for source in sources]
    several = [source for source in sources if len(source.services) > 1]
    if several:
        known = list(dict.fromkeys(name for source in several for name in source.services))
        for source in sources:
            (name, *rest) = source.services
            if not rest and name not in known:
                raise BadInput(
                    f"{source.source}: is about one service, and {several[0].source} knows "
                    f"{_names_text(known)}: say which with --service NAME"
                )
        return list(sources)
    names = {name: source for source in sources for name in source.services if name != UNNAMED}
    best = max(names, key=lambda name: names[name].kind == manifest.KIND, default=DEFAULT_NAME)
    return [_select_service(source, best, notes) for source in sources]


def _select_service(source: Findings, service: str, notes: list[str]) -> Findings:
    """Return a source with its findings about one service only, under the service's name."""
    if service in source.services:
        findings = source.services[service]
    elif len(source.services) == 1:
        ((name, findings),) = source.services.items()
        if name != UNNAMED:
            notes.append(f"assumed: {name} in {source.source} is {service}")
    else:
        near = difflib.get_close_matches(service, source.services, n=1, cutoff=0.5)
        nearest = f" (nearest: {near[0]})" if near else ""
        raise BadInput(
            f"--service {service}: {source.source} has no such service, it has "
            f"{_names_text(list(source.services))}{nearest}"
        )
    return Findings(source.kind, source.source, {service: findings}, source.notes)


def _names_text(names: Sequence[str]) -> str:
    shown = ", ".join(name or "one without a name" for name in names[:12])
    return shown if len(names) <= 12 else f"{shown} and {len(names) - 12} more"


def _take_arrivals(sources: Sequence[Findings], notes: list[str]) -> None:
    """Keep the traffic of one source only, so that the shares and the clock are consistent."""
    with_traffic = [
        (max(arrivals.weight for arrivals in all_arrivals), source)
        for source in sources
        if (
            all_arrivals := [
                service.arrivals for service in source.services.values() if service.arrivals
            ]
        )
    ]
    if len(with_traffic) < 2:
        return
    with_traffic.sort(key=lambda pair: -pair[0])
    (first, best), (second, other) = with_traffic[:2]
    if first == second:
        raise BadInput(
            f"{best.source} and {other.source}: both tell the traffic, {_rate(best):.4g}/s and "
            f"{_rate(other):.4g}/s in the mean: give one of the two"
        )
    for _, source in with_traffic[1:]:
        notes.append(
            f"traffic is {best.source}'s; {source.source} has {_rate(source):.4g}/s in the mean"
        )
        for service in source.services.values():
            service.arrivals = None


def _rate(source: Findings) -> float:
    return sum(
        service.arrivals.mean_rps for service in source.services.values() if service.arrivals
    )


def _merge(name: str, into: ServiceFindings, other: ServiceFindings, notes: list[str]) -> None:
    into.arrivals = into.arrivals or other.arrivals
    into.service_time = _choose_finding(
        name, "service_time", into.service_time, other.service_time, notes
    )
    for findings, more in ((into.service, other.service), (into.rollout, other.rollout)):
        for key, finding in more.items():
            chosen = _choose_finding(name, key, findings.get(key), finding, notes)
            assert chosen is not None
            findings[key] = chosen


def _choose_finding(
    name: str, key: str, one: Finding | None, other: Finding | None, notes: list[str]
) -> Finding | None:
    """Return the finding with the higher weight.

    Raises:
        BadInput: Two different values have the same weight.
    """
    if one is None or other is None:
        return one or other
    if _is_same(one.value, other.value):
        return max(one, other, key=lambda finding: finding.weight)
    if one.weight == other.weight:
        raise BadInput(
            f"{one.source} and {other.source}: both tell {key} of {name}, {_value_text(one.value)} and "
            f"{_value_text(other.value)}: give one of the two"
        )
    less, more = sorted((one, other), key=lambda finding: finding.weight)
    notes.append(
        f"{key} of {name} is {_value_text(more.value)} by {more.source}; {less.source} has "
        f"{_value_text(less.value)}"
    )
    return more


def _is_same(one: object, other: object) -> bool:
    if isinstance(one, Durations) or isinstance(other, Durations):
        return False
    return one == other or one == (len(other) if isinstance(other, list) else other)


def _value_text(value: object) -> str:
    if isinstance(value, Durations):
        return f"{len(value.samples_s):,} durations"
    return f"{len(value)} servers" if isinstance(value, list) else str(value)


def sources_text(sources: Sequence[Findings]) -> Iterator[str]:
    """Yield the name of each source with its kind, as text."""
    for source in sources:
        yield f"{source.source} ({source.kind})"
