"""Counts and rows of requests, compiled: the tally of `simulation.results.tally`, kept as it happens."""

from __future__ import annotations

import math

from simulation.engines.compiled.kernel.build import hot_part, part
from simulation.engines.compiled.kernel.memory import (
    attempt_at,
    bin_at,
    bits_of,
    bucket_at,
    call_at,
    class_at,
    ended_at,
    header_at,
    i8_at,
    instance_at,
    late_at,
    loss_at,
    row_at,
    service_at,
    u4_at,
)
from simulation.engines.compiled.kernel.timers import MARGIN, note_if_tight
from simulation.results.run_result import CUT, IN_FLIGHT, OK, REFUSED, REJECTED
from simulation.results.tally import BUCKETS, FIRST_BUCKET, SHIFT, TICKS_PER_S, TOTALS
from simulation.scenario.limits import ATTEMPT_BITS

_OUTCOMES, _SLOW, _CUT, _CALLED, _TURNED, _WAITED, _EXPOSED = (
    TOTALS.index(name)
    for name in ["outcome_0", "slow", "cut", "called", "turned_away", "waited", "exposed"]
)
_OPEN, _CUT_CONNECTIONS, _CUT_OF_OPEN, _RECONNECTS, _FAILED_WITH_LATENCY = (
    TOTALS.index(name)
    for name in [
        "open_at_start",
        "cut_connections",
        "cut_of_open",
        "reconnects",
        "failed_with_latency",
    ]
)


@hot_part
def add(p: int, which: int, change: int) -> None:
    """Add a change to one of the totals."""
    i8_at(header_at(p, 0).totals, which).v += change


@hot_part
def ticks_of(time: float) -> int:
    """Return a time in nanoseconds; a time before 0 counts as 0."""
    return int(max(time, 0.0) * TICKS_PER_S + 0.5)


@hot_part
def bin_of(p: int, time: float) -> int:
    """Return the bin of a time; a time before 0 counts as 0."""
    return int(max(time, 0.0) * header_at(p, 0).bins_per_s)


@hot_part
def _bucket_of(value: float) -> int:
    return min(max((bits_of(value) >> SHIFT) - FIRST_BUCKET, 0), BUCKETS - 1)


@hot_part
def put_wait(p: int, wait: float) -> None:
    """Count the wait of a call that arrived from time 0 on."""
    if wait > 0:
        add(p, _WAITED, 1)
    bucket = bucket_at(header_at(p, 0).waits, _bucket_of(wait))
    bucket.count += 1
    bucket.ticks += ticks_of(wait)


@hot_part
def _put_latency(p: int, place: int, latency: float) -> None:
    """Count the latency of a request that arrived in a bin from time 0 on."""
    h = header_at(p, 0)
    k = _bucket_of(latency)
    bucket = bucket_at(h.latencies, k)
    bucket.count += 1
    bucket.ticks += ticks_of(latency)
    u4_at(h.bin_latencies, place * BUCKETS + k).v += 1


@part
def put_latencies(p: int, place: int, wait: float, latency: float) -> None:
    """Count the wait and the latency of a request that arrived in a bin from time 0 on."""
    h = header_at(p, 0)
    bucket = bucket_at(h.waits, _bucket_of(wait))
    bucket.count += 1
    bucket.ticks += ticks_of(wait)
    if latency > h.slow_over:
        add(p, _SLOW, 1)
    _put_latency(p, place, latency)


@part
def put_served(
    p: int,
    place: int,
    served: int,
    waited: int,
    flying_ticks: int,
    waiting_ticks: int,
    busy_ticks: int,
) -> None:
    """Count requests that arrived in a bin from time 0 on and ended with `ok` in the same bin."""
    time_bin = bin_at(header_at(p, 0).tally_bins, place)
    time_bin.offered += served
    time_bin.served += served
    time_bin.flying_ticks += flying_ticks
    time_bin.waiting_ticks += waiting_ticks
    time_bin.busy_ticks += busy_ticks
    add(p, _CALLED, served)
    add(p, _WAITED, waited)


@part
def add_exposed(p: int, count: int) -> None:
    """Count requests that arrived from time 0 on and reached the new version."""
    add(p, _EXPOSED, count)


@hot_part
def count_arrival(p: int, time: float) -> None:
    """Count the arrival of a request."""
    h = header_at(p, 0)
    time_bin = bin_at(h.tally_bins, bin_of(p, time))
    time_bin.flying += 1
    time_bin.flying_ticks += ticks_of(time)
    if time >= 0:
        time_bin.offered += 1


@hot_part
def count_end(p: int, request_time: float, time: float, outcome: int, has_latency: bool) -> None:
    """Count the end of a request that arrived at ``request_time``."""
    h = header_at(p, 0)
    time_bin = bin_at(h.tally_bins, bin_of(p, time))
    time_bin.flying -= 1
    time_bin.flying_ticks -= ticks_of(time)
    if request_time >= 0 and not (outcome == OK and has_latency):
        add(p, _OUTCOMES + outcome, 1)
        if has_latency:
            add(p, _FAILED_WITH_LATENCY, 1)
    if time >= 0:
        if outcome == OK:
            time_bin.served += 1
        else:
            time_bin.failed += 1
            if outcome == CUT:
                add(p, _CUT, 1)
    if outcome == OK and has_latency:
        latency = time - request_time
        if time >= 0 and latency > h.slow_over:
            add(p, _SLOW, 1)
        if request_time >= 0:
            _put_latency(p, bin_of(p, request_time), latency)


@part
def log_late(p: int, request_time: float, time: float, order: int, kind: int, outcome: int) -> None:
    """Log a request that arrived before the last edge and ends at a time.

    Afterwards there is room for all attempts in progress, because one event may end them all.
    """
    h = header_at(p, 0)
    late = late_at(h.late, h.late_count)
    h.late_count += 1
    late.arrival, late.finish, late.number = request_time, time, order >> ATTEMPT_BITS
    late.kind, late.outcome = kind, outcome
    if h.late_cap - h.late_count < h.attempt_cap + MARGIN:
        h.tight = 1


@hot_part
def count_end_apart(p: int, request_time: float, time: float, kind: int, outcome: int) -> None:
    """Count the end of a request, if its class is counted apart from the others."""
    h = header_at(p, 0)
    request_class = class_at(h.classes, kind)
    if request_class.apart < 0 or request_time < 0:
        return
    i8_at(h.class_ends, 2 * request_class.apart).v += 1
    if outcome != OK:
        i8_at(h.class_ends, 2 * request_class.apart + 1).v += 1
    elif request_class.holds_slot == 1:
        latency = time - request_time
        bucket = bucket_at(h.class_latencies, request_class.apart * BUCKETS + _bucket_of(latency))
        bucket.count += 1
        bucket.ticks += ticks_of(latency)


@part
def count_retry(p: int) -> None:
    """Count an attempt that is sent now, after the first one of its request."""
    h = header_at(p, 0)
    if h.now >= 0:
        bin_at(h.tally_bins, bin_of(p, h.now)).retried += 1


@part
def log_loss(p: int, time: float, g: int, outcome: int, is_served: bool, by_new: bool) -> None:
    """Log a request that is lost at a time, last sent to an instance (−1 for none).

    Afterwards there is room for all attempts in progress, because one event may lose them all.
    """
    if time < 0:
        return
    h = header_at(p, 0)
    loss = loss_at(h.losses, h.loss_count)
    h.loss_count += 1
    loss.finish, loss.instance, loss.outcome = time, g, outcome
    loss.served, loss.new_version = is_served, by_new
    loss.listening = 0 if g < 0 else instance_at(h.instances, g).listening
    if h.loss_cap - h.loss_count < h.attempt_cap + MARGIN:
        h.tight = 1


@hot_part
def add_waiting(p: int, time: float, change: int) -> None:
    """Count a call that waits from a time on (change 1), or no longer waits (change −1)."""
    time_bin = bin_at(header_at(p, 0).tally_bins, bin_of(p, time))
    time_bin.waiting += change
    time_bin.waiting_ticks += change * ticks_of(time)


@hot_part
def add_busy(p: int, time: float, change: int) -> None:
    """Count a slot that is taken from a time on (change 1), or free again (change −1)."""
    time_bin = bin_at(header_at(p, 0).tally_bins, bin_of(p, time))
    time_bin.busy += change
    time_bin.busy_ticks += change * ticks_of(time)


@part
def count_served_request(p: int, now: float, start: float, done: float) -> None:
    """Count a request that arrived from time 0 on and ended with `ok` in a later bin."""
    count_arrival(p, now)
    count_call(p, now)
    if start > now:
        add_waiting(p, now, 1)
        add_waiting(p, start, -1)
    put_wait(p, start - now)
    add_busy(p, start, 1)
    add_busy(p, done, -1)
    count_end(p, now, done, OK, True)


@part
def count_turned_away(p: int, time: float) -> None:
    """Count a call that takes a slot and was rejected or refused."""
    if time >= 0:
        add(p, _TURNED, 1)


@part
def count_exposed(p: int, request_time: float) -> None:
    """Count a request that arrived at ``request_time`` and reached the new version, once per request."""
    if request_time >= 0:
        add(p, _EXPOSED, 1)


@hot_part
def count_call(p: int, time: float) -> None:
    """Count a call that takes a slot, if made from time 0 on."""
    if time >= 0:
        add(p, _CALLED, 1)


# Counts at the current time


@hot_part
def end_request(p: int, a: int, outcome: int) -> None:
    """Count the end of the attempt's request, now, and complete its row."""
    h = header_at(p, 0)
    attempt = attempt_at(h.attempts, a)
    count_end(
        p, attempt.request_time, h.now, outcome, class_at(h.classes, attempt.kind).holds_slot == 1
    )
    count_end_apart(p, attempt.request_time, h.now, attempt.kind, outcome)
    if 0 <= attempt.request_time < h.edge:
        log_late(p, attempt.request_time, h.now, attempt.order, attempt.kind, outcome)
    if h.keeps_rows:
        row = row_at(h.rows, attempt.row)
        row.finish = h.now
        row.outcome = outcome


@hot_part
def count_call_arrival(p: int, c: int) -> None:
    """Count a call that is made now."""
    h = header_at(p, 0)
    if call_at(h.calls, c).takes_slot:
        count_call(p, h.now)
        add_waiting(p, h.now, 1)


@hot_part
def count_call_start(p: int, c: int) -> None:
    """Count a call whose wait ends now because its service begins."""
    h = header_at(p, 0)
    call = call_at(h.calls, c)
    if call.takes_slot:
        add_waiting(p, h.now, -1)
        if call.arrival >= 0:
            put_wait(p, h.now - call.arrival)


@part
def count_unserved_call(p: int, c: int, outcome: int) -> None:
    """Count a call whose wait ends now because the call ends without service."""
    h = header_at(p, 0)
    call = call_at(h.calls, c)
    if call.takes_slot:
        add_waiting(p, h.now, -1)
        if call.arrival >= 0:
            if outcome == REJECTED or outcome == REFUSED:
                add(p, _TURNED, 1)
            else:
                put_wait(p, h.now - call.arrival)


@part
def count_connection_start(p: int, c: int) -> None:
    """Count a connection that opens now; only those opened before time 0 count."""
    if header_at(p, 0).now < 0:
        add(p, _OPEN, 1)


@part
def count_open_at_start(p: int, c: int, since: float) -> None:
    """Record that a connection has been open since before the beginning, which is now."""
    h = header_at(p, 0)
    call = call_at(h.calls, c)
    call.start = since
    if h.keeps_rows:
        row_at(h.rows, attempt_at(h.attempts, c // h.route_max).row).start = since
    if h.now >= 0:
        add(p, _OPEN, 1)


@part
def count_connection_end(p: int, c: int, outcome: int) -> None:
    """Count the end of a connection, now.

    A connection that ends at time 0 by itself ended before the rollout's start; only one that control
    cut at time 0 counts as open at the start.
    """
    h = header_at(p, 0)
    was_there = call_at(h.calls, c).start < 0
    if outcome == CUT:
        add(p, _CUT_CONNECTIONS, 1)
        if was_there:
            add(p, _CUT_OF_OPEN, 1)
    elif was_there and h.now <= 0:
        add(p, _OPEN, -1)


@part
def count_reconnect(p: int) -> None:
    """Count an attempt to open a connection again."""
    add(p, _RECONNECTS, 1)


@hot_part
def add_busy_now(p: int, change: int) -> None:
    """Count a slot that is taken from now on (change 1), or free again (change −1)."""
    add_busy(p, header_at(p, 0).now, change)


@part
def mark_exposed(p: int, a: int) -> None:
    """Record that the new version serves the attempt's request."""
    h = header_at(p, 0)
    attempt = attempt_at(h.attempts, a)
    if not attempt.exposed:
        attempt.exposed = 1
        count_exposed(p, attempt.request_time)
    if h.keeps_rows:
        row_at(h.rows, attempt.row).new_version = 1


@part
def new_row(p: int, time: float, kind: int) -> int:
    """Return the index of a new row, for a request that arrived at a time."""
    h = header_at(p, 0)
    row = row_at(h.rows, h.row_count)
    row.arrival = time
    row.start = row.finish = math.nan
    row.instance, row.outcome, row.kind = -1, IN_FLIGHT, kind
    h.row_count += 1
    return h.row_count - 1


@part
def log_end(
    p: int,
    s: int,
    finish: float,
    latency: float,
    outcome: int,
    by_new: bool,
    is_served: bool,
    takes_slot: bool,
) -> None:
    """Log a call that has ended for its caller; guards and canaries judge this log."""
    service = service_at(header_at(p, 0).services, s)
    ended = ended_at(service.log, service.log_count)
    service.log_count += 1
    ended.finish, ended.latency, ended.outcome = finish, latency, outcome
    ended.new_version, ended.served, ended.takes_slot = by_new, is_served, takes_slot
    note_if_tight(p, service.log_cap - service.log_count)
