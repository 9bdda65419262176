"""HAProxy's HTTP logs (``option httplog``): requests by backend and server, with their timers.

TR + Tw + Tc + Tr + Td = Ta. A request holds its slot from the connection on, so its service time is
Ta − TR − Tw. Only this log separates the time in the queue (Tw).
"""

from __future__ import annotations

import math
import re
from calendar import month_abbr
from collections.abc import Sequence
from datetime import UTC, datetime

from simulation.importers.findings import Findings
from simulation.importers.requests import RequestLog, Wording
from simulation.importers.source import LineTally, Source

KIND = "HAProxy log"
# client:port [accept date] frontend backend/server TR/Tw/Tc/Tr/Ta status bytes cookies state
# actconn/feconn/beconn/srv_conn/retries srv_queue/backend_queue …
_LINE = re.compile(
    r"(?<!\S)\S{1,300}:\d+ \[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)\.(\d{3})\] (\S+) "
    r"([^\s/]+)/(\S+) (-?\d+)/(-?\d+)/(-?\d+)/(-?\d+)/(\+?)(\d+) (-?\d+) \+?\d+ \S+ \S+ "
    r"(\S{4}) \d+/\d+/\d+/\d+/\+?\d+ (\d+)/(\d+)"
)
# HAProxy's error format: a connection that ended before it carried a request
_NO_REQUEST = re.compile(
    r"(?<!\S)\S{1,300}:\d+ \[\d\d/[A-Z][a-z]{2}/\d{4}:[\d:.]+\] [^\s/]+/\S+: \S"
)
_MONTHS = {name: number for number, name in enumerate(month_abbr) if name}
WORDING = Wording(
    "Ta − TR − Tw, from the connection to the last byte",
    has_queueing=False,
    caveat="assumed: no queue within the server: waiting at HAProxy (Tw) is not in it, waiting "
    "behind the server's own accept would be",
)


def looks_like(head: Sequence[str]) -> bool:
    """Return whether lines are of HAProxy's HTTP log."""
    return any(_LINE.search(line) for line in head[:20])


def read(sources: Sequence[Source]) -> Findings:
    """Return the findings from one or several logs.

    Raises:
        BadInput: Too many lines are damaged.
    """
    log = RequestLog()
    notes: list[str] = []
    waited_count = state_count = nobody_count = 0
    longest_wait_s = 0.0
    for source in sources:
        tally = LineTally(source, f"line of an {KIND} in HTTP mode")
        for number, line in source.lines():
            match = _LINE.search(line)
            moment_s = None if match is None else _moment(match)
            if match is None or moment_s is None:
                if _is_about_itself(line):
                    continue
                if _NO_REQUEST.search(line):
                    tally.other(number, line)
                    continue
                tally.bad(number, line)
                continue
            backend, server = match[9], match[10]
            timers = [int(match[k]) for k in (11, 12, 13, 14)]
            whole = int(match[16])
            taken = math.nan
            if match[15] == "" and min(timers) >= 0:
                taken = (whole - timers[0] - timers[1]) / 1000.0
            wait_s = max(0, timers[1]) / 1000.0
            waited_count += wait_s > 0
            longest_wait_s = max(longest_wait_s, wait_s)
            state_count += match[18][:2] != "--"
            nobody_count += server == "<NOSRV>"
            status = int(match[17])
            log.add(
                moment_s,
                taken,
                failed=status >= 500 or status < 0 or match[18][:2] != "--",
                service=backend.removesuffix("~"),
                server="" if server == "<NOSRV>" else server,
            )
            tally.good_count += 1
        notes += filter(None, [tally.note(), tally.other_note()])
    names = ", ".join(source.path.name for source in sources)
    findings = log.findings(KIND, names, WORDING, in_flight=True)
    findings.notes += notes
    findings.notes.append(
        f"{waited_count:,} of {len(log):,} requests in {names} waited in HAProxy's queue (Tw), at "
        f"most {longest_wait_s:g} s; {state_count:,} ended early (session state), {nobody_count:,} "
        "reached no server"
    )
    return findings


def _moment(match: re.Match[str]) -> float | None:
    """Return the accept date in seconds; HAProxy writes local time without a zone."""
    day, month, year, hour, minute, second, thousandth = (match[k] for k in range(1, 8))
    try:
        when = datetime(
            int(year), _MONTHS.get(month, 0), int(day), int(hour), int(minute), int(second),
            int(thousandth) * 1000, tzinfo=UTC,
        )  # fmt: skip
    except ValueError:
        return None
    return when.timestamp()


def _is_about_itself(line: str) -> bool:
    """Return whether a line is about HAProxy itself: a server going up or down, a start."""
    return bool(re.search(r"\b(?:Server|Proxy|backend) \S+ (?:is|has|started|stopped)\b", line))
