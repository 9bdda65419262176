"""The requests and calls of the reference engine as arrays, to be counted and stored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulation.engines.reference.calls import Call, Request
from simulation.results.request_ends import LATE
from simulation.results.run_result import IN_FLIGHT, OK, RequestTable
from simulation.results.tally import LOSS, Calls
from simulation.scenario.units import Floats


def table_of(requests: Sequence[Request]) -> RequestTable:
    """Return one row for each request so far; instances are numbered over all services."""
    lasts = [request.last for request in requests]
    firsts = [last.first for last in lasts]
    return RequestTable(
        arrival_s=_times([request.arrival_s for request in requests]),
        start_s=_times([first.start_s for first in firsts]),
        finish_s=_times([math.nan if last.to_come else last.finish_s for last in lasts]),
        instance=np.array(
            [
                -1 if first.instance < 0 else first.instance + first.station.first_instance
                for first in firsts
            ],
            dtype=np.int64,
        ),
        new_version=np.array([last.by_new for last in lasts], dtype=np.bool_),
        outcome=np.array(
            [IN_FLIGHT if last.to_come else last.outcome for last in lasts], dtype=np.int64
        ),
        attempts=np.array([last.number + 1 for last in lasts], dtype=np.int64),
        request_class=np.array([request.kind for request in requests], dtype=np.int64),
    )


def losses_of(requests: Sequence[Request]) -> NDArray[Any]:
    """Return one `LOSS` for each request that was lost from time 0 on."""
    rows = []
    for last in (request.last for request in requests):
        call = last.failed_call
        if call is None or last.outcome == OK or last.to_come or not last.finish_s >= 0:
            continue
        number = -1 if call.instance < 0 else call.station.first_instance + call.instance
        where = last.was_served, last.was_new, last.was_listening
        rows.append((last.finish_s, number, last.outcome, *where))
    return np.array(rows, LOSS)


def late_of(requests: Sequence[Request]) -> NDArray[Any]:
    """Return one `LATE` for each request."""
    rows = []
    for request in requests:
        last, is_open = request.last, request.is_in_flight()
        outcome = IN_FLIGHT if is_open else last.outcome
        finish_s = math.nan if is_open else last.finish_s
        rows.append((request.arrival_s, finish_s, request.number, request.kind, outcome))
    return np.array(rows, LATE)


def calls_of(calls: Sequence[Call]) -> Calls:
    """Return one row for each call so far."""
    return Calls(
        arrival_s=_times([call.arrival_s for call in calls]),
        start_s=_times([call.start_s for call in calls]),
        finish_s=_times([call.finish_s for call in calls]),
        released_s=_times([call.released_s for call in calls]),
        outcome=np.array([call.outcome for call in calls], dtype=np.int64),
        takes_slot=np.array([call.takes_slot for call in calls], dtype=np.bool_),
    )


def _times(values: list[float]) -> Floats:
    return np.array(values, dtype=np.float64)
