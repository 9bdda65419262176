"""Outcomes of attempts on the fast path, compiled.

An attempt that ends before control can interfere gets its outcome when it arrives. Every other attempt
has a record and timers, and may be cut until it is over.
"""

from __future__ import annotations

import math

from simulation.engines.compiled.kernel.ahead import end_waits_until
from simulation.engines.compiled.kernel.belief import update_policy
from simulation.engines.compiled.kernel.build import hot_part, part
from simulation.engines.compiled.kernel.draws import ERROR_DRAW, JITTER, uniform
from simulation.engines.compiled.kernel.memory import (
    BEGIN_SERVICE,
    CLIENT_TIMEOUT,
    COMPLETE,
    RETRIES,
    attempt_at,
    call_at,
    class_at,
    f8_at,
    header_at,
    i4_at,
    instance_at,
    row_at,
    service_at,
)
from simulation.engines.compiled.kernel.queues import count_waiting
from simulation.engines.compiled.kernel.requests import backoff_s, free_attempt, new_attempt
from simulation.engines.compiled.kernel.slots import sort_calls
from simulation.engines.compiled.kernel.tally import (
    add_busy,
    add_waiting,
    count_end,
    count_end_apart,
    count_exposed,
    log_end,
    log_late,
    log_loss,
    put_wait,
)
from simulation.engines.compiled.kernel.timers import set_timer
from simulation.engines.compiled.kernel.wheel import put
from simulation.requests.call_states import GONE, HOLDING, QUEUED, SERVING
from simulation.requests.plane import ARRIVALS, COMPLETIONS, TIMEOUTS
from simulation.results.run_result import CUT, ERROR, IN_FLIGHT, OK, TIMED_OUT


@part
def leave_time(p: int, kind: int) -> float:
    """Return the time at which the client of an attempt that begins now leaves."""
    rule = class_at(header_at(p, 0).classes, kind)
    return header_at(p, 0).now + rule.timeout if rule.lane >= 0 else math.inf


@part
def outcome_of_work(p: int, order: int, by_new: bool) -> int:
    """Return the outcome of work that was done before the client's timeout: `ok` or `error`."""
    service = service_at(header_at(p, 0).services, 0)
    if not by_new and service.old_is_wrong:
        return ERROR
    share = service.new_error if by_new else service.old_error
    if share > 0 and uniform(service.key, ERROR_DRAW, order) < share:
        return ERROR
    return OK


@hot_part
def _new_slot(
    p: int, order: int, tries: int, kind: int, want: float, request_time: float, row: int, flag: int
) -> int:
    """Return a new record for an attempt, with what is needed of it later."""
    h = header_at(p, 0)
    a = new_attempt(p)
    attempt = attempt_at(h.attempts, a)
    attempt.order, attempt.tries, attempt.kind = order, tries, kind
    attempt.request_time, attempt.row, attempt.exposed = request_time, row, flag
    attempt.want = want
    return a


@part
def mark_new_version(p: int, a: int, request_time: float, row: int) -> int:
    """Record that the new version serves the request, counted once for all its attempts; return 1."""
    h = header_at(p, 0)
    if h.keeps_rows:
        row_at(h.rows, row).new_version = 1
    if a < 0 or not attempt_at(h.attempts, a).exposed:
        count_exposed(p, request_time)
    if a >= 0:
        attempt_at(h.attempts, a).exposed = 1
    return 1


@hot_part
def on_attempt_ended(
    p: int,
    a: int,
    order: int,
    tries: int,
    kind: int,
    want: float,
    request_time: float,
    row: int,
    time: float,
    outcome: int,
    flag: int,
) -> bool:
    """Record the attempt's outcome for its client at a time, and schedule a retry if there is one.

    A retry keeps the record of the attempt; otherwise the record is freed.

    Returns:
        Whether the request is lost; the caller, who knows where, logs the loss.
    """
    h = header_at(p, 0)
    rule = class_at(h.classes, kind)
    if outcome != OK and tries < rule.attempts and (rule.cut or outcome != CUT):
        if a < 0:
            a = _new_slot(p, order, tries, kind, want, request_time, row, flag)
        u = uniform(h.key, JITTER, order) if rule.jitter > 0 else 0.5
        next_attempt = time + backoff_s(p, kind, tries, u)
        attempt_at(h.attempts, a).to_come = 1
        put(p, RETRIES, next_attempt, ARRIVALS + order + 1, a)
        return False
    count_end(p, request_time, time, outcome, True)
    count_end_apart(p, request_time, time, kind, outcome)
    if 0 <= request_time < h.edge:
        log_late(p, request_time, time, order, kind, outcome)
    if h.keeps_rows:
        record = row_at(h.rows, row)
        record.finish = time
        record.outcome = outcome
    if a >= 0:
        _free(p, a)
    return outcome != OK


@part
def _free(p: int, a: int) -> None:
    attempt = attempt_at(header_at(p, 0).attempts, a)
    attempt.outcome = OK
    free_attempt(p, a)


@part
def schedule_attempt(
    p: int,
    a: int,
    order: int,
    tries: int,
    kind: int,
    want: float,
    request_time: float,
    row: int,
    g: int,
    start: float,
    done: float,
) -> None:
    """Set timers for an attempt that may not be over when control next acts."""
    h = header_at(p, 0)
    if a < 0:
        a = _new_slot(p, order, tries, kind, want, request_time, row, 0)
    now = h.now
    attempt_at(h.attempts, a).outcome = IN_FLIGHT
    call = call_at(h.calls, a)
    call.generation += 1
    call.arrival, call.start, call.instance = now, now, g
    call.new_version = 0
    call.state = QUEUED
    instance = instance_at(h.instances, g)
    instance.at_work += 1
    leaves_at = leave_time(p, kind)
    # Set only the timers that will fire unless the attempt is cut: work that will not be finished has
    # no end, and a client that will be answered in time has no timeout.
    leaves = done > leaves_at
    completes = start <= leaves_at and not (leaves and class_at(h.classes, kind).cancels)
    instance.last = max(instance.last, done if completes else leaves_at)
    if start > now:
        add_waiting(p, now, 1)
        end_waits_until(p, now)
        count_waiting(p, 0, 1)
        if start <= leaves_at:
            set_timer(p, start, COMPLETIONS, BEGIN_SERVICE, a, call.generation)
    else:
        begin_service(p, a)
    if completes:
        set_timer(p, done, COMPLETIONS + order, COMPLETE, a, call.generation)
    if leaves:
        set_timer(p, leaves_at, TIMEOUTS + order, CLIENT_TIMEOUT, a, call.generation)


@part
def begin_service(p: int, a: int) -> None:
    """Begin the service of an attempt, now."""
    h = header_at(p, 0)
    call, attempt = call_at(h.calls, a), attempt_at(h.attempts, a)
    call.state = SERVING
    call.start = h.now
    if call.arrival >= 0:
        put_wait(p, h.now - call.arrival)
    add_busy(p, h.now, 1)
    if h.keeps_rows:
        row_at(h.rows, attempt.row).start = h.now
    if instance_at(h.instances, call.instance).new_version:
        call.new_version = mark_new_version(p, a, attempt.request_time, attempt.row)


@part
def leave_queue(p: int, a: int) -> None:
    """Count the attempt as no longer waiting."""
    h = header_at(p, 0)
    count_waiting(p, 0, -1)
    add_waiting(p, h.now, -1)


@part
def _remove_connection(p: int, g: int) -> None:
    instance = instance_at(header_at(p, 0).instances, g)
    instance.at_work -= 1
    if service_at(header_at(p, 0).services, 0).counts:
        instance.taken -= 1


@part
def _depart(p: int, a: int) -> None:
    """Remove a finished attempt from its instance."""
    h = header_at(p, 0)
    call = call_at(h.calls, a)
    call.state = GONE
    call.generation += 1
    _remove_connection(p, call.instance)
    update_policy(p, call.instance)


@part
def _end_for_client(p: int, a: int, outcome: int, is_kept: bool) -> None:
    """End the attempt for its client, now.

    With ``is_kept`` the work continues without a client: the record stays with the work, and a retry
    gets a record of its own.
    """
    h = header_at(p, 0)
    call, attempt = call_at(h.calls, a), attempt_at(h.attempts, a)
    is_served, by_new, g = call.state != QUEUED, call.new_version == 1, call.instance
    if service_at(h.services, 0).keeps_log:
        log_end(p, 0, h.now, h.now - call.arrival, outcome, by_new, is_served, True)
    attempt.outcome = outcome
    own = a
    if is_kept:
        own = _new_slot(
            p,
            attempt.order,
            attempt.tries,
            attempt.kind,
            attempt.want,
            attempt.request_time,
            attempt.row,
            attempt.exposed,
        )
    next_attempt = attempt_at(h.attempts, own)
    want = next_attempt.want
    order, tries, kind = next_attempt.order, next_attempt.tries, next_attempt.kind
    if on_attempt_ended(
        p,
        own,
        order,
        tries,
        kind,
        want,
        next_attempt.request_time,
        next_attempt.row,
        h.now,
        outcome,
        0,
    ):
        log_loss(p, h.now, g, outcome, is_served, by_new)


@part
def complete(p: int, a: int) -> None:
    """End the work of an attempt."""
    h = header_at(p, 0)
    call = call_at(h.calls, a)
    is_left = call.state == HOLDING
    add_busy(p, h.now, -1)
    by_new = call.new_version == 1
    if is_left:
        _depart(p, a)
        _free(p, a)
        return
    _end_and_depart(p, a, outcome_of_work(p, attempt_at(h.attempts, a).order, by_new))


@part
def _end_and_depart(p: int, a: int, outcome: int) -> None:
    """End an attempt for its client, and remove it from its instance."""
    _end_for_client(p, a, outcome, False)
    _depart(p, a)


@part
def on_client_timeout(p: int, a: int) -> None:
    """End an attempt in flight as `timed_out`."""
    h = header_at(p, 0)
    call = call_at(h.calls, a)
    if call.state == QUEUED:
        leave_queue(p, a)
        if call.arrival >= 0:
            put_wait(p, h.now - call.arrival)
        _end_and_depart(p, a, TIMED_OUT)
    elif call.state == SERVING:
        if class_at(h.classes, attempt_at(h.attempts, a).kind).cancels:
            add_busy(p, h.now, -1)
            _end_and_depart(p, a, TIMED_OUT)
        else:
            _end_for_client(p, a, TIMED_OUT, True)
            call = call_at(h.calls, a)
            call.state = HOLDING


@part
def cut_all(p: int, g: int) -> int:
    """End all attempts at the instance as `cut`; return how many of them a client still waited for."""
    h = header_at(p, 0)
    begun = _gather(p, g, 0, False)
    sort_calls(p, 0, begun)
    count = _gather(p, g, begun, True)
    sort_calls(p, begun, count - begun)
    instance = instance_at(h.instances, g)
    lost = 0
    for k in range(count):
        a = i4_at(h.scratch, k).v
        call = call_at(h.calls, a)
        if call.state == QUEUED:
            leave_queue(p, a)
            if call.arrival >= 0:
                put_wait(p, h.now - call.arrival)
        else:
            add_busy(p, h.now, -1)
        call.generation += 1
        _remove_connection(p, g)
        if call.state == HOLDING:
            call.state = GONE
            _free(p, a)
        else:
            lost += 1
            _end_for_client(p, a, CUT, False)
            call_at(h.calls, a).state = GONE
    for place in range(g * h.slots_max, (g + 1) * h.slots_max):
        f8_at(h.free_at, place).v = -math.inf
    instance.last = -math.inf
    update_policy(p, g)
    return lost


@part
def _gather(p: int, g: int, count: int, queued: bool) -> int:
    """Append the attempts at an instance to ``scratch``, either the queued ones or those in service.

    Returns:
        The new number of entries of ``scratch``.
    """
    h = header_at(p, 0)
    for a in range(h.attempt_used):
        call = call_at(h.calls, a)
        if call.instance == g and (
            call.state == QUEUED if queued else call.state == SERVING or call.state == HOLDING
        ):
            i4_at(h.scratch, count).v = a
            count += 1
    return count
