"""Snapshots of the status of NGINX Plus, one JSON object per line, with growing counters.

For each upstream they give the requests between two snapshots, the peers, their limits, and their mean
response time where it is present. A counter that falls, as after a restart, makes a gap.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from executor.base.errors import BadInput
from simulation.importers.findings import Arrivals, Finding, Findings, ServiceFindings
from simulation.importers.fitting import seconds_text
from simulation.importers.series import COUNT_A_STEP, STEPS_S, Series
from simulation.importers.source import LineTally, Source
from simulation.scenario.units import Floats

KIND = "NGINX Plus status"
_LONGEST_PAUSE = 5.0
"""Maximum distance of two snapshots, over the median distance; a longer one is a gap."""
_Counts = dict[tuple[str, str], list[tuple[float, float, dict[str, Any]]]]


def looks_like(head: Sequence[str]) -> bool:
    """Return whether the first line is a snapshot of a status."""
    first = _snapshot(head[0])
    return first is not None


def read(sources: Sequence[Source]) -> Findings:
    """Return the findings from all snapshots.

    Raises:
        BadInput: There are fewer than two snapshots, or too many lines are damaged.
    """
    names = ", ".join(source.path.name for source in sources)
    findings = Findings(KIND, names)
    snapshots: list[tuple[float, dict[str, Any]]] = []
    for source in sources:
        tally = LineTally(source, "snapshot of an NGINX Plus status")
        for number, line in source.lines():
            snapshot = _snapshot(line)
            if snapshot is None:
                tally.bad(number, line)
            else:
                snapshots.append((float(snapshot["timestamp"]) / 1000.0, snapshot))
                tally.good_count += 1
        findings.notes += filter(None, [tally.note()])
    snapshots.sort(key=lambda pair: pair[0])
    if len(snapshots) < 2 or snapshots[-1][0] <= snapshots[0][0]:
        raise BadInput(f"{names}: holds one snapshot; a rate needs at least two")
    peers = _by_peer(snapshots)
    upstreams = dict.fromkeys(upstream for upstream, _ in peers)
    growths = {name: _growth(peers, name) for name in upstreams}
    called = [name for name in upstreams if np.nansum(growths[name][1]) > 0]
    if not called:
        raise BadInput(f"{names}: no upstream was asked for anything between the snapshots")
    quiet = [name for name in upstreams if name not in called]
    if quiet:
        findings.notes.append(f"{', '.join(quiet)} had no request in {names}, left out")
    step = _step_s({name: growths[name] for name in called})
    for name in called:
        times, counts = growths[name]
        findings.services[name] = _service(
            names, name, peers, _series(times, counts, step), snapshots
        )
    return findings


def _snapshot(line: str) -> dict[str, Any] | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        snapshot = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(snapshot, dict) or not isinstance(snapshot.get("upstreams"), dict):
        return None
    stamp = snapshot.get("timestamp")
    return snapshot if isinstance(stamp, int | float) and 1e11 < stamp < 1e14 else None


def _by_peer(snapshots: Sequence[tuple[float, dict[str, Any]]]) -> _Counts:
    """Return the snapshots of each peer: the time, the requests so far, and the peer's data."""
    peers: _Counts = {}
    for when, snapshot in snapshots:
        for upstream, about in snapshot["upstreams"].items():
            listed = about.get("peers", []) if isinstance(about, dict) else about
            for peer in listed:
                requests = peer.get("requests") if isinstance(peer, dict) else None
                if isinstance(requests, int | float):
                    key = (upstream, str(peer.get("server") or peer.get("id")))
                    peers.setdefault(key, []).append((when, float(requests), peer))
    return peers


def _growth(peers: _Counts, upstream: str) -> tuple[Floats, Floats]:
    """Return the times of the snapshots, shape (n,), and the requests between them, shape (n − 1,).

    NaN where a counter fell or two snapshots are too far apart.
    """
    peer_rows = [rows for (name, _), rows in peers.items() if name == upstream]
    times = np.unique(np.concatenate([[row[0] for row in rows] for rows in peer_rows]))
    grown = np.zeros(len(times) - 1)
    for rows in peer_rows:
        at = {row[0]: row[1] for row in rows}
        counts = np.array([at.get(when, math.nan) for when in times.tolist()])
        change = np.diff(counts)
        change[change < 0] = np.nan
        grown += change
    apart = np.diff(times)
    grown[apart > _LONGEST_PAUSE * np.median(apart)] = np.nan
    return times, grown


def _step_s(growths: dict[str, tuple[Floats, Floats]]) -> float:
    """Return the shortest step with a mean of `COUNT_A_STEP` requests and at least one snapshot."""
    times = next(iter(growths.values()))[0]
    span, apart = float(times[-1] - times[0]), float(np.median(np.diff(times)))
    total = sum(float(np.nansum(counts)) for _, counts in growths.values())
    usable = [float(step) for step in STEPS_S if step >= apart and 4 * step <= span] or [span]
    return float(next((step for step in usable if total * step / span >= COUNT_A_STEP), usable[-1]))


def _series(times: Floats, counts: Floats, step_s: float) -> Series:
    """Return the requests in even steps, spread evenly between two snapshots."""
    known = np.isfinite(counts)
    begin = math.ceil(times[0] / step_s) * step_s
    size = max(1, math.floor((times[-1] - begin) / step_s))
    edges = begin + step_s * np.arange(size + 1)
    if times[-1] < edges[-1] or begin - times[0] >= step_s:
        edges = np.array([times[0], times[-1]])
    so_far = np.concatenate([[0.0], np.cumsum(np.where(known, counts, 0.0))])
    unknown = np.concatenate([[0.0], np.cumsum(np.where(known, 0.0, np.diff(times)))])
    in_steps = np.diff(np.interp(edges, times, so_far))
    in_steps[np.diff(np.interp(edges, times, unknown)) > 1e-9] = np.nan
    first = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=float(edges[0]))
    return Series(float(edges[1] - edges[0]), in_steps, first, is_rate=True)


def _service(
    source: str,
    upstream: str,
    peers: _Counts,
    series: Series,
    snapshots: Sequence[tuple[float, dict[str, Any]]],
) -> ServiceFindings:
    peer_rows = {server: rows for (name, server), rows in peers.items() if name == upstream}
    last = {server: rows[-1][2] for server, rows in peer_rows.items()}
    active = [name for name, peer in last.items() if not peer.get("backup")]
    total = float(np.nansum(series.counts))
    failed = sum(_grown(peer_rows[name], "responses", "5xx") for name in peer_rows)
    basis = (
        f"measured: {total:,.0f} requests of upstream {upstream} between the {len(snapshots):,} "
        f"snapshots of {source}, {series.span_text()}; {failed:,.0f} were answered 5xx"
    )
    service = ServiceFindings(arrivals=Arrivals(series, series.mean_rps, basis, source))
    spare = len(last) - len(active)
    basis = f"stated: peers of upstream {upstream} in {source}"
    basis += f", {spare} backup left out" if spare else ""
    service.service["instances"] = Finding(active or list(last), basis, 2, source)
    limits = {last[name].get("max_conns") for name in active}
    if len(limits) == 1 and isinstance(limit := limits.pop(), int) and limit > 0:
        basis = f"stated: max_conns of each peer in {source}"
        service.service["slots"] = Finding(limit, basis, 2, source)
    else:
        most = max(int(row[2].get("active") or 0) for name in active for row in peer_rows[name])
        if most > 0:
            basis = (
                f"assumed: the most connections that a snapshot in {source} shows on one peer; it "
                "has no limit (max_conns) of its own"
            )
            service.service["slots"] = Finding(most, basis, 0, source)
    times_ms = [peer["response_time"] for peer in last.values() if peer.get("response_time")]
    if times_ms:
        basis = (
            f"measured: response_time of the peers in {source}, moving means of NGINX's; assumed: "
            "lognormal with cv 1, and nothing waited"
        )
        value = {"mean": seconds_text(float(np.mean(times_ms)) / 1000), "cv": 1}
        service.service_time = Finding(value, basis, 1, source)
    return service


def _grown(rows: Sequence[tuple[float, float, dict[str, Any]]], *keys: str) -> float:
    """Return the growth of a counter in a peer's data, without restarts."""
    values = []
    for _, _, peer in rows:
        value: Any = peer
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        values.append(float(value or 0))
    change = np.diff(values)
    return float(change[change > 0].sum())
