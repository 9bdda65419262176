"""Requests one by one, as every kind of log has them: counted, timed, by service and server.

Enters: a request at a time. Leaves: `Findings`: a series for each service on one grid, its
durations, the servers that were seen.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
from numpy.typing import NDArray

from executor.base.errors import BadInput
from simulation.importers.findings import Arrivals, Durations, Finding, Findings, ServiceFindings
from simulation.importers.series import COUNT_A_STEP, Series, count_series
from simulation.scenario.units import Floats

QUIET_FRACTION = 0.25
"""Low load is the quietest quarter of the steps …"""
QUIET_COUNT = 500
"""… and as many more as it takes to have so many durations."""
FEWEST_DURATIONS = 5
"""With fewer nothing is said about how long a request takes."""
FEWEST_REQUESTS = 20
"""Fewer requests say nothing of a rate: the count of 20 is known to ±22 %."""

LATEST_S = 7.2e9
"""Seconds since 1970 at about the end of 2197: a later date is damage."""


@dataclass(frozen=True)
class Wording:
    """What a log's durations are, in words.

    Attributes:
        duration: Such as ``$upstream_response_time``.
        has_queueing: Whether waiting in a queue is part of them.
        caveat: What else is to be known of them; begins with ``assumed:`` or is empty.
    """

    duration: str
    has_queueing: bool
    caveat: str = ""


REQUEST_TIME = Wording(
    "$request_time",
    has_queueing=True,
    caveat="assumed: how long clients take to read an answer, which $request_time contains, is "
    "service too; log $upstream_response_time to leave it out",
)
UPSTREAM_TIME = Wording("$upstream_response_time", has_queueing=True)
NO_TIME = Wording("nothing", has_queueing=False)


class RequestLog:
    """Requests as they are read."""

    def __init__(self) -> None:
        self._times = array("d")
        self._durations = array("d")
        self._failed = array("b")
        self._services = array("l")
        self._servers = array("l")
        self._service_numbers: dict[str, int] = {}
        self._server_numbers: dict[tuple[str, str], int] = {}

    def __len__(self) -> int:
        return len(self._times)

    def add(
        self,
        arrival_s: float,
        duration_s: float = math.nan,
        *,
        failed: bool = False,
        service: str = "",
        server: str = "",
    ) -> None:
        """One request.

        Args:
            arrival_s: When it came, seconds since 1970 or since any other beginning.
            duration_s: How long it took; NaN where that is not known.
            failed: Whether it was not answered well, so that its duration says nothing.
            service: Who it was for, where the log says.
            server: Which instance served it, where the log says.
        """
        self._times.append(arrival_s)
        self._durations.append(duration_s)
        self._failed.append(failed)
        numbers = self._service_numbers
        self._services.append(numbers.setdefault(service, len(numbers)))
        number = -1
        if server:
            key = (service, server)
            number = self._server_numbers.setdefault(key, len(self._server_numbers))
        self._servers.append(number)

    def findings(
        self,
        kind: str,
        source: str,
        wording: Wording,
        *,
        utc_offset_s: float | None = None,
        dated: bool = True,
        in_flight: bool = False,
    ) -> Findings:
        """What all of them say.

        Args:
            kind: Of the source, in words.
            source: The file or files.
            wording: What the durations are.
            utc_offset_s: Of the clock that the log was written by; None where it does not say.
            dated: Whether times are seconds since 1970, and not of any other beginning.
            in_flight: Whether times are fine enough to count how many a server had at once.

        Raises:
            BadInput: The times make no series.
        """
        if len(self._times) < FEWEST_REQUESTS:
            raise BadInput(
                f"{source}: holds {len(self._times)} requests: a rate needs at least "
                f"{FEWEST_REQUESTS}; import a longer piece"
            )
        times = np.frombuffer(self._times, dtype=np.float64)
        if dated and not (times.min() >= 0 and times.max() < LATEST_S):
            raise BadInput(f"{source}: has times before 1970 or after 2200")
        order = np.argsort(times, kind="stable")
        times = times[order]
        durations = np.frombuffer(self._durations, dtype=np.float64)[order]
        failed = np.frombuffer(self._failed, dtype=np.int8)[order] != 0
        services = np.frombuffer(self._services, dtype=f"i{self._services.itemsize}")[order]
        servers = np.frombuffer(self._servers, dtype=f"i{self._servers.itemsize}")[order]
        begin_s, first, origin_s = float(times[0]), None, 0.0
        if dated:
            begin_s = math.floor(times[0])
            first = _local(begin_s, utc_offset_s)
            origin_s = (begin_s + (utc_offset_s or 0.0)) % 86400.0
        times = times - begin_s
        groups = [times[services == k] for k in self._service_numbers.values()]
        try:
            all_series = count_series(groups, first, origin_s)
        except ValueError as error:
            raise BadInput(f"{source}: {error}") from None
        findings = Findings(kind, source)
        for (name, k), series in zip(self._service_numbers.items(), all_series, strict=True):
            mine = services == k
            one = ServiceFindings(arrivals=_arrivals(int(mine.sum()), series, source))
            findings.services[name] = one
            good = mine & np.isfinite(durations) & (durations >= 0) & ~failed
            if good.sum() >= FEWEST_DURATIONS and durations[good].max() > 0:
                told = _durations(times[good], durations[good], times[mine], series, wording)
                one.service_time = Finding(told, told.basis, 3, source)
            seen = [server for (of, server) in self._server_numbers if of == name]
            if seen:
                basis = f"measured: servers that answered in {source}"
                one.service["instances"] = Finding(seen, basis, 1, source)
                if in_flight:
                    most = _most_at_once(times[good], durations[good], servers[good])
                    basis = (
                        f"assumed: the most that {source} shows in flight at once on one server; "
                        "its own limit (maxconn, workers) may be higher"
                    )
                    one.service["slots"] = Finding(max(1, most), basis, 0, source)
        share = float(failed.mean())
        if share > 0:
            findings.notes.append(
                f"{failed.sum():,} of {len(times):,} requests in {source} failed ({share:.2%}); "
                "their durations are left out, and the old version is assumed to answer right "
                "(versions.old.error_fraction)".replace("%", " %", 1)
            )
        return findings


def _local(epoch_s: float, utc_offset_s: float | None) -> datetime:
    if utc_offset_s is None:
        return datetime.fromtimestamp(epoch_s, UTC).replace(tzinfo=None)
    return datetime.fromtimestamp(epoch_s, timezone(timedelta(seconds=utc_offset_s)))


def _arrivals(count: int, series: Series, source: str) -> Arrivals:
    basis = (
        f"measured: {count:,} requests in {source}, {series.span_text()} in steps of "
        f"{series.step_s:g} s, the shortest with about {COUNT_A_STEP} requests in each"
    )
    return Arrivals(series, series.mean_rps, basis, source)


def _durations(
    times: Floats, durations: Floats, arrivals: Floats, series: Series, wording: Wording
) -> Durations:
    count = len(durations)
    what = f"measured: {count:,} times of {wording.duration}"
    if not wording.has_queueing:
        return Durations(durations, what, wording.caveat)
    quiet = quiet_steps(times, arrivals, series.step_s)
    if quiet is None:
        caveat = (
            "assumed: nothing waited: a response time is taken as the service time, since there "
            "are too few to look at low load alone"
        )
    else:
        mean, all_mean = float(durations[quiet].mean()), float(durations.mean())
        caveat = (
            f"assumed: at low load nothing waits: taken are the {quiet.sum():,} that came in the "
            f"quietest {QUIET_FRACTION:.0%} of the steps of {series.step_s:g} s; "
            f"with all of them the mean is {all_mean / mean - 1:+.0%} off".replace("%", " %")
        )
        durations = durations[quiet]
    return Durations(durations, what, f"{caveat}. {wording.caveat}".removesuffix(". "))


def quiet_steps(times_s: Floats, arrivals_s: Floats, step_s: float) -> NDArray[np.bool_] | None:
    """Which durations were measured at low load; None where there are too few to choose.

    Low load is told by the requests that came in a step, never by what they took: else the short
    ones would be chosen.
    """
    step = np.floor(arrivals_s / step_s).astype(np.int64)
    base = int(step.min())
    loads = np.bincount(step - base)
    mine = np.clip(np.floor(times_s / step_s).astype(np.int64) - base, 0, len(loads) - 1)
    timed = np.bincount(mine, minlength=len(loads))
    filled = np.flatnonzero(loads)
    if len(filled) < 2 / QUIET_FRACTION or len(times_s) < 2 * QUIET_COUNT:
        return None
    filled = filled[np.argsort(loads[filled], kind="stable")]
    enough = int(np.searchsorted(np.cumsum(timed[filled]), QUIET_COUNT)) + 1
    size = max(math.ceil(QUIET_FRACTION * len(filled)), enough)
    return np.isin(mine, filled[:size])


def _most_at_once(times: Floats, durations: Floats, servers: NDArray[np.int64]) -> int:
    """The most requests that one server had at one moment."""
    most = 0
    for server in np.unique(servers[servers >= 0]):
        mine = servers == server
        moments = np.concatenate([times[mine], times[mine] + durations[mine]])
        change = np.concatenate([np.ones(mine.sum()), -np.ones(mine.sum())])
        most = max(most, int(np.cumsum(change[np.lexsort((change, moments))]).max()))
    return most
