"""What becomes of an attempt on the fast path, compiled.

What is over before control can interfere is told at once; the rest has a slot and timers, and may be
cut until it is over.
"""

from __future__ import annotations

import math

from simulation.engines.compiled.kernel.ahead import no_longer_wait
from simulation.engines.compiled.kernel.belief import tell
from simulation.engines.compiled.kernel.build import hot_part, part
from simulation.engines.compiled.kernel.draws import ERROR_DRAW, JITTER, uniform
from simulation.engines.compiled.kernel.memory import (
    BEGIN,
    COMPLETE,
    GIVE_UP,
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
from simulation.engines.compiled.kernel.requests import free_attempt, new_attempt, wait_s
from simulation.engines.compiled.kernel.slots import sort_calls
from simulation.engines.compiled.kernel.tally import (
    busy,
    count_exposed,
    ended,
    log_ended,
    put_wait,
    waiting,
)
from simulation.engines.compiled.kernel.timers import set_timer
from simulation.engines.compiled.kernel.wheel import put
from simulation.requests.call_states import GONE, HOLDING, QUEUED, SERVING
from simulation.requests.plane import ARRIVALS, COMPLETIONS, TIMEOUTS
from simulation.results.run_result import CUT, ERROR, IN_FLIGHT, OK, TIMED_OUT


@part
def patience_of(p: int, kind: int) -> float:
    """When the client of an attempt leaves that begins now."""
    rule = class_at(header_at(p, 0).classes, kind)
    return header_at(p, 0).now + rule.timeout if rule.lane >= 0 else math.inf


@part
def outcome_of(p: int, order: int, by_new: bool) -> int:
    """How work ends that was done in time."""
    service = service_at(header_at(p, 0).services, 0)
    if not by_new and service.old_is_wrong:
        return ERROR
    share = service.new_error if by_new else service.old_error
    if share > 0 and uniform(service.key, ERROR_DRAW, order) < share:
        return ERROR
    return OK


@hot_part
def _slot(
    p: int, order: int, tries: int, kind: int, want: float, asked: float, row: int, flag: int
) -> int:
    """A slot for what has to be known later of an attempt."""
    h = header_at(p, 0)
    a = new_attempt(p)
    one = attempt_at(h.attempts, a)
    one.order, one.tries, one.kind = order, tries, kind
    one.asked, one.row, one.exposed = asked, row, flag
    one.want = want
    return a


@part
def is_exposed(p: int, a: int, asked: float, row: int) -> int:
    """A new version serves the request: counted once, however often it asks."""
    h = header_at(p, 0)
    if h.keeps_rows:
        row_at(h.rows, row).new_version = 1
    if a < 0 or not attempt_at(h.attempts, a).exposed:
        count_exposed(p, asked)
    if a >= 0:
        attempt_at(h.attempts, a).exposed = 1
    return 1


@hot_part
def told_of(
    p: int,
    a: int,
    order: int,
    tries: int,
    kind: int,
    want: float,
    asked: float,
    row: int,
    time: float,
    outcome: int,
    flag: int,
) -> None:
    """The attempt is over for its client, who may make another; its slot is free or kept for that."""
    h = header_at(p, 0)
    rule = class_at(h.classes, kind)
    if outcome != OK and tries < rule.attempts and (rule.cut or outcome != CUT):
        if a < 0:
            a = _slot(p, order, tries, kind, want, asked, row, flag)
        u = uniform(h.key, JITTER, order) if rule.jitter > 0 else 0.5
        again = time + wait_s(p, kind, tries, u)
        put(p, RETRIES, again, ARRIVALS + order + 1, a)
        return
    ended(p, asked, time, outcome, True)
    if h.keeps_rows:
        record = row_at(h.rows, row)
        record.finish = time
        record.outcome = outcome
    if a >= 0:
        _free(p, a)


@part
def _free(p: int, a: int) -> None:
    one = attempt_at(header_at(p, 0).attempts, a)
    one.outcome = OK
    free_attempt(p, a)


@part
def goes_slow(
    p: int,
    a: int,
    order: int,
    tries: int,
    kind: int,
    want: float,
    asked: float,
    row: int,
    g: int,
    start: float,
    done: float,
) -> None:
    """Timers for an attempt that may not be over when control is next."""
    h = header_at(p, 0)
    if a < 0:
        a = _slot(p, order, tries, kind, want, asked, row, 0)
    now = h.now
    attempt_at(h.attempts, a).outcome = IN_FLIGHT
    one = call_at(h.calls, a)
    one.generation += 1
    one.arrival, one.start, one.instance = now, now, g
    one.new_version = 0
    one.state = QUEUED
    instance = instance_at(h.instances, g)
    instance.at_work += 1
    patience = patience_of(p, kind)
    # What is certain unless it is cut, has no timer.
    leaves = done > patience
    completes = start <= patience and not (leaves and class_at(h.classes, kind).cancels)
    instance.last = max(instance.last, done if completes else patience)
    if start > now:
        waiting(p, now, 1)
        no_longer_wait(p, now)
        count_waiting(p, 0, 1)
        if start <= patience:
            set_timer(p, start, COMPLETIONS, BEGIN, a, one.generation)
    else:
        begins(p, a)
    if completes:
        set_timer(p, done, COMPLETIONS + order, COMPLETE, a, one.generation)
    if leaves:
        set_timer(p, patience, TIMEOUTS + order, GIVE_UP, a, one.generation)


@part
def begins(p: int, a: int) -> None:
    """It is served from now on."""
    h = header_at(p, 0)
    one, attempt = call_at(h.calls, a), attempt_at(h.attempts, a)
    one.state = SERVING
    one.start = h.now
    if one.arrival >= 0:
        put_wait(p, h.now - one.arrival)
    busy(p, h.now, 1)
    if h.keeps_rows:
        row_at(h.rows, attempt.row).start = h.now
    if instance_at(h.instances, one.instance).new_version:
        one.new_version = is_exposed(p, a, attempt.asked, attempt.row)


@part
def leaves_queue(p: int, a: int) -> None:
    """It waits no longer."""
    h = header_at(p, 0)
    count_waiting(p, 0, -1)
    waiting(p, h.now, -1)


@part
def _has_one_less(p: int, g: int) -> None:
    one = instance_at(header_at(p, 0).instances, g)
    one.at_work -= 1
    if service_at(header_at(p, 0).services, 0).counts:
        one.taken -= 1


@part
def _departs(p: int, a: int) -> None:
    """The instance has one less."""
    h = header_at(p, 0)
    one = call_at(h.calls, a)
    one.state = GONE
    one.generation += 1
    _has_one_less(p, one.instance)
    tell(p, one.instance)


@part
def _hears(p: int, a: int, outcome: int, is_kept: bool) -> None:
    """Its client is told, now; a slot whose work goes on is kept apart from the next attempt's."""
    h = header_at(p, 0)
    one, attempt = call_at(h.calls, a), attempt_at(h.attempts, a)
    if service_at(h.services, 0).keeps_log:
        is_served = one.state != QUEUED
        by_new = one.new_version == 1
        log_ended(p, 0, h.now, h.now - one.arrival, outcome, by_new, is_served, True)
    attempt.outcome = outcome
    own = a
    if is_kept:
        own = _slot(
            p,
            attempt.order,
            attempt.tries,
            attempt.kind,
            attempt.want,
            attempt.asked,
            attempt.row,
            attempt.exposed,
        )
    again = attempt_at(h.attempts, own)
    want = again.want
    order, tries, kind = again.order, again.tries, again.kind
    told_of(p, own, order, tries, kind, want, again.asked, again.row, h.now, outcome, 0)


@part
def completes(p: int, a: int) -> None:
    """Its work is done."""
    h = header_at(p, 0)
    one = call_at(h.calls, a)
    is_left = one.state == HOLDING
    busy(p, h.now, -1)
    by_new = one.new_version == 1
    if is_left:
        _departs(p, a)
        _free(p, a)
        return
    _hears_then_departs(p, a, outcome_of(p, attempt_at(h.attempts, a).order, by_new))


@part
def _hears_then_departs(p: int, a: int, outcome: int) -> None:
    """Over for its client and at its instance."""
    _hears(p, a, outcome, False)
    _departs(p, a)


@part
def gives_up(p: int, a: int) -> None:
    """The client of the attempt leaves."""
    h = header_at(p, 0)
    one = call_at(h.calls, a)
    if one.state == QUEUED:
        leaves_queue(p, a)
        if one.arrival >= 0:
            put_wait(p, h.now - one.arrival)
        _hears_then_departs(p, a, TIMED_OUT)
    elif one.state == SERVING:
        if class_at(h.classes, attempt_at(h.attempts, a).kind).cancels:
            busy(p, h.now, -1)
            _hears_then_departs(p, a, TIMED_OUT)
        else:
            _hears(p, a, TIMED_OUT, True)
            one = call_at(h.calls, a)
            one.state = HOLDING


@part
def cut(p: int, g: int) -> int:
    """Ends everything in service or queued at the instance; says how many clients lost."""
    h = header_at(p, 0)
    begun = _gather(p, g, 0, False)
    sort_calls(p, 0, begun)
    count = _gather(p, g, begun, True)
    sort_calls(p, begun, count - begun)
    instance = instance_at(h.instances, g)
    lost = 0
    for k in range(count):
        a = i4_at(h.scratch, k).v
        one = call_at(h.calls, a)
        if one.state == QUEUED:
            leaves_queue(p, a)
            if one.arrival >= 0:
                put_wait(p, h.now - one.arrival)
        else:
            busy(p, h.now, -1)
        one.generation += 1
        _has_one_less(p, g)
        if one.state == HOLDING:
            one.state = GONE
            _free(p, a)
        else:
            lost += 1
            _hears(p, a, CUT, False)
            call_at(h.calls, a).state = GONE
    for place in range(g * h.slots_max, (g + 1) * h.slots_max):
        f8_at(h.free_at, place).v = -math.inf
    instance.last = -math.inf
    tell(p, g)
    return lost


@part
def _gather(p: int, g: int, count: int, queued: bool) -> int:
    """Puts what is at an instance behind what `scratch` has: what waits there, or what has begun."""
    h = header_at(p, 0)
    for a in range(h.attempt_used):
        one = call_at(h.calls, a)
        if one.instance == g and (
            one.state == QUEUED if queued else one.state == SERVING or one.state == HOLDING
        ):
            i4_at(h.scratch, count).v = a
            count += 1
    return count
