"""HAProxy's ``show stat``: one snapshot of its counters, as a CSV.

For each backend with servers it gives the mean rate, the servers, their limits, and their mean response
time.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from executor.base.errors import BadInput
from simulation.importers.findings import Arrivals, Finding, Findings, ServiceFindings
from simulation.importers.fitting import seconds_text
from simulation.importers.source import Source, shorten_line

KIND = "HAProxy show stat"
_TOTALS = ("FRONTEND", "BACKEND")
_ALGORITHMS = {
    "roundrobin": "round_robin",
    "static-rr": "round_robin",
    "leastconn": "least_connections",
    "random": "power_of_two",  # HAProxy's random draws two
    "source": "source_hash",
}


def looks_like(head: Sequence[str]) -> bool:
    """Return whether the first line is HAProxy's header."""
    return head[0].lstrip("# ").startswith("pxname,svname,")


def read(sources: Sequence[Source]) -> Findings:
    """Return the findings from one snapshot.

    Raises:
        BadInput: There is no backend with servers, or a row is damaged.
    """
    (source,) = sources
    name = source.path.name
    findings = Findings(KIND, name)
    rows = _rows(source)
    for backend in dict.fromkeys(row["pxname"] for row in rows):
        own = [row for row in rows if row["pxname"] == backend]
        servers = [row for row in own if row.get("type") == "2" and row["svname"] not in _TOTALS]
        total = next((row for row in own if row["svname"] == "BACKEND"), None)
        active = [row for row in servers if _number(row, "act") != 0]
        if not active or total is None:
            continue
        spare = [row["svname"] for row in servers if row not in active]
        if spare:
            findings.notes.append(f"{backend}: {', '.join(spare)} is a backup in {name}, left out")
        findings.services[backend] = _service(name, backend, total, active, findings.notes)
    if not findings.services:
        raise BadInput(f"{source.path}: no backend in it has an active server")
    return findings


def _service(
    file: str, backend: str, total: dict[str, str], servers: list[dict[str, str]], notes: list[str]
) -> ServiceFindings:
    service = ServiceFindings()
    count, up_s = _number(total, "stot"), _number(total, "lastchg")
    if count and up_s and not _number(total, "chkdown"):
        peak = _number(total, "rate_max")
        basis = (
            f"measured: {count:,.0f} sessions of backend {backend} in the {_days(up_s)} that {file} "
            "looks back on, a mean over day and night"
        )
        if peak:
            basis += f"; at most {peak:g} in one second"
        service.arrivals = Arrivals(None, count / up_s, basis, file)
    names = [row["svname"] for row in servers]
    basis = f"stated: active servers of backend {backend} in {file}"
    service.service["instances"] = Finding(names, basis, 2, file)
    limits = {_number(row, "slim") for row in servers}
    if None not in limits and len(limits) == 1:
        basis = f"stated: slim (maxconn) of each server in {file}"
        service.service["slots"] = Finding(int(limits.pop() or 1), basis, 2, file)
    elif limits - {None}:
        notes.append(
            f"{backend}: its servers have different maxconn in {file}; give each its slots"
        )
    policy = _ALGORITHMS.get(total.get("algo", ""))
    if policy is not None:
        basis = f"stated: algo {total['algo']} in {file}"
        service.service["balancer.policy"] = Finding(policy, basis, 2, file)
    mean_ms = _number(total, "rtime")
    if mean_ms:
        basis = (
            f"measured: rtime in {file} is the mean of the last 1,024 requests, and no more than a "
            "mean; assumed: lognormal with cv 1"
        )
        value = {"mean": seconds_text(mean_ms / 1000), "cv": 1}
        service.service_time = Finding(value, basis, 1, file)
    wait_ms = _number(total, "qtime")
    if wait_ms:
        notes.append(
            f"{backend}: the last 1,024 requests in {file} waited {wait_ms:g} ms in the mean"
        )
    return service


def _rows(source: Source) -> list[dict[str, str]]:
    text = source.text().lstrip("\ufeff# ")
    try:
        lines = list(csv.reader(io.StringIO(text)))
    except csv.Error as error:
        raise BadInput(f"{source.path}: cannot be read: {error}") from None
    header = lines[0]
    rows = []
    for number, line in enumerate(lines[1:], 2):
        if not line:
            continue
        if len(line) < min(len(header), 40):
            row_text = shorten_line(",".join(line))
            raise BadInput(f"{source.path}:{number}: is cut short: {row_text}")
        rows.append(dict(zip(header, line, strict=False)))
    return rows


def _number(row: dict[str, str], key: str) -> float | None:
    try:
        return float(row.get(key) or "")
    except ValueError:
        return None


def _days(seconds: float) -> str:
    if seconds >= 2 * 86400:
        return f"{seconds / 86400:.0f} days"
    return f"{seconds / 3600:.1f} hours" if seconds >= 7200 else f"{seconds:.0f} s"
