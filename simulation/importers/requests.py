"""A collection of single requests, as logs of any kind contain them.

A reader adds one request at a time. `RequestLog.findings` returns, for each service, a series of
request counts on a common grid, the durations, and the servers that answered.
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
"""Fraction of the steps, the quietest ones, that count as low load."""
QUIET_COUNT = 500
"""Minimum number of durations at low load; more steps are included until there are this many."""
FEWEST_DURATIONS = 5
"""Minimum number of durations from which a service time is derived."""
FEWEST_REQUESTS = 20
"""Minimum number of requests from which a rate is derived: a count of 20 is known to ±22 %."""

LATEST_S = 7.2e9
"""Maximum of a time, in seconds since 1970 (about the end of 2197); a later date is damage."""


@dataclass(frozen=True)
class Wording:
    """The meaning of a log's durations, for the comments of the scenario.

    Attributes:
        duration: The name of the duration, such as ``$upstream_response_time``.
        has_queueing: Whether the duration includes waiting in a queue.
        caveat: What is assumed about the durations; begins with ``assumed:`` or is empty.
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
    """The requests of one or several logs, collected while the logs are read."""

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
        """Add one request.

        Args:
            arrival_s: When the request arrived, in seconds since 1970 or any other beginning.
            duration_s: How long the request took; NaN where the log does not say.
            failed: Whether the request failed; the duration of a failed request is not used.
            service: The service that was called; empty where the log does not say.
            server: The instance that answered; empty where the log does not say.
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
        """Return the findings from all requests.

        Args:
            kind: The kind of the source, in words.
            source: The file or files.
            wording: The meaning of the durations.
            utc_offset_s: The UTC offset of the log's clock, in seconds; None where the log does not
                say.
            dated: Whether times are seconds since 1970; otherwise since any other beginning.
            in_flight: Whether times are precise enough to count the requests that a server had at
                the same time.

        Raises:
            BadInput: There are too few requests, or their times make no series.
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
            is_own = services == k
            service = ServiceFindings(arrivals=_arrivals(int(is_own.sum()), series, source))
            findings.services[name] = service
            good = is_own & np.isfinite(durations) & (durations >= 0) & ~failed
            if good.sum() >= FEWEST_DURATIONS and durations[good].max() > 0:
                measured = _durations(times[good], durations[good], times[is_own], series, wording)
                service.service_time = Finding(measured, measured.basis, 3, source)
            own_servers = [server for (of, server) in self._server_numbers if of == name]
            if own_servers:
                basis = f"measured: servers that answered in {source}"
                service.service["instances"] = Finding(own_servers, basis, 1, source)
                if in_flight:
                    most = _most_at_once(times[good], durations[good], servers[good])
                    basis = (
                        f"assumed: the most that {source} shows in flight at once on one server; "
                        "its own limit (maxconn, workers) may be higher"
                    )
                    service.service["slots"] = Finding(max(1, most), basis, 0, source)
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
    """Return which durations were measured at low load; None where there are too few to choose.

    The load of a step is the number of requests that arrived in it. It must not depend on their
    durations: otherwise the short durations would be chosen.
    """
    step = np.floor(arrivals_s / step_s).astype(np.int64)
    base = int(step.min())
    loads = np.bincount(step - base)
    own_steps = np.clip(np.floor(times_s / step_s).astype(np.int64) - base, 0, len(loads) - 1)
    timed = np.bincount(own_steps, minlength=len(loads))
    filled = np.flatnonzero(loads)
    if len(filled) < 2 / QUIET_FRACTION or len(times_s) < 2 * QUIET_COUNT:
        return None
    filled = filled[np.argsort(loads[filled], kind="stable")]
    enough = int(np.searchsorted(np.cumsum(timed[filled]), QUIET_COUNT)) + 1
    size = max(math.ceil(QUIET_FRACTION * len(filled)), enough)
    return np.isin(own_steps, filled[:size])


def _most_at_once(times: Floats, durations: Floats, servers: NDArray[np.int64]) -> int:
    """Return the most requests that one server had at the same time."""
    most = 0
    for server in np.unique(servers[servers >= 0]):
        is_own = servers == server
        moments = np.concatenate([times[is_own], times[is_own] + durations[is_own]])
        change = np.concatenate([np.ones(is_own.sum()), -np.ones(is_own.sum())])
        most = max(most, int(np.cumsum(change[np.lexsort((change, moments))]).max()))
    return most
