"""Estimates, failures, notes of a scenario and lost requests, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulation.estimates.no_estimate import NoEstimate, Why
from simulation.estimates.overload import overload_text
from simulation.results.failures import Cause, Failure, FleetCounts, GuardFigure
from simulation.results.losses import CAUSES, PHASES, LossCause, Losses, LossPhase
from simulation.scenario.inputs.days import FEWEST_DRAWN
from simulation.scenario.inputs.uncertainty import NORMAL_95
from simulation.scenario.model import Scenario
from simulation.study.candidates import WhyLeftOut
from simulation.study.ignored_keys import ignored_keys
from simulation.study.notes import QUALIFY_FIGURES, Note, NoteKind, notes_of
from studio.views.figures_text import (
    clock_text,
    count_text,
    duration_text,
    instances_text,
    latency_text,
    limit_text,
    percent_text,
)

if TYPE_CHECKING:
    from simulation.estimates.estimate import Estimate, Range
    from simulation.scenario.model import Scenario


_REASONS = {
    Why.SEVERAL_SERVICES: "requests go through several services ({names})",
    Why.CLOSED_TRAFFIC: "clients of closed traffic wait for their answers before they ask again",
    Why.QUEUE_REJECTS: "a full queue rejects",
    Why.STICKY: "sticky sessions are not spread evenly, and go on to come while one drains",
    Why.BALANCED_CONNECTIONS: (
        "connections are balanced, not requests: they gather at some instances, and carry requests "
        "while one drains"
    ),
    Why.WEIGHTS: "weights and a slow start spread requests unevenly",
    Why.SESSIONS: "a source hash spreads sessions unevenly over the instances' own queues",
    Why.TWO_CHOICES: "power of two choices keeps the instances' own queues shorter than chance",
    Why.FEWEST_AT_INSTANCES: "least connections does not even out the instances' own queues here",
    Why.UNEVEN_INSTANCES: "instances with queues of their own are not equally fast",
    Why.LEARNS_LATE: "the balancer learns late, and sends to instances that have stopped",
    Why.RETURNS_LATE: "the balancer sends to returned instances of {names} only after a delay",
    Why.COLD_BY_REQUESTS: "instances of {names} warm up by the requests that they have served",
    Why.CRASHES: "instances crash on their own",
    Why.CONTRACT_TOO_EARLY: "the contract step comes too early, and the old version answers wrongly",
    Why.TRACE_ENDS: "the rollout meets a gap or the end of the trace",
    Why.NOTHING_ARRIVES: "nothing arrives",
    Why.FEW_REQUESTS: "fewer than a hundred requests come, too few for a p99",
    Why.POOL_EMPTY: "no instance is in the pool for a while",
    Why.NEVER_CLEARS: "the new version has {share} of what it can serve to do, so the queue never clears",
    Why.TIMEOUTS: "{share} of the requests would run into a timeout, and what leaves relieves the queue",
    Why.RETRIES: "{share} of the requests would wait into a timeout and be sent again",
    Why.RETRIED_WORK: (
        "requests that always take longer than their client waits are retried in vain, "
        "which brings the load to {share}"
    ),
    Why.NEW_DEMANDS: (
        "{share} of the requests would run into a timeout, and a retry asks for another service time"
    ),
    Why.MAY_FAIL: "a verify or start of {names} may fail, which halts the rollout or prolongs it",
    Why.DEADLINE_MAY_PASS: "a deadline of {names} may pass, which halts the rollout or prolongs it",
    Why.DRAIN_MAY_ABORT: "a drain of {names} may run out, which aborts it",
    Why.QUEUED_AT_DRAINS: "requests queue at instances of {names} that are taken out (load {share})",
    Why.CUT_CONNECTIONS: "drains cut long-lived connections, most of which came before the rollout",
    Why.SHARED_STEPS: "instances of {names} share work in their steps and slow each other down",
    Why.CORRELATED_STEPS: "steps of {names} are correlated between instances",
    Why.UNCERTAIN_INPUTS: "inputs are uncertain, and their factors differ from run to run",
    Why.HANDSHAKES: "connections that come back hold slots for their handshakes",
    Why.CONNECTIONS_BEGIN_EMPTY: "how many long-lived connections are open is not known",
    Why.NEAR_CAPACITY: "the load reaches {share} of what the pool serves, which only runs can answer",
    Why.COLD_INSTANCES: "cold instances serve slower for a while, which only runs can answer",
    Why.VARIED_SERVICE: "service times vary too much for a closed form",
    Why.QUEUES_APART: "every instance has a queue of its own, for which closed forms are too far off",
    Why.ENDLESS_OVERLOAD: "{names} has {share} of what it can serve to do, for ever",
    Why.CHANCE: "how long a queue gets differs too much from one rollout to the next",
}
"""The words of each reason; `names` are services, `share` is the share that the reason states."""


_NO_ESTIMATE = "no estimate"


def no_estimate_text(reason: NoEstimate) -> str:
    """Return why there is no number, such as ``no estimate: a full queue rejects``."""
    names, share = ", ".join(reason.services), percent_text(reason.fraction)
    return f"{_NO_ESTIMATE}: {_REASONS[reason.why].format(names=names, share=share)}"


def source_text(estimate: Estimate) -> str:
    """Return what the figures of an estimate come from: ``closed forms``, ``1 run`` or ``5 runs``."""
    if not estimate.runs:
        return "closed forms"
    return "1 run" if estimate.runs == 1 else f"{estimate.runs} runs"


def estimate_sentence(estimate: Estimate, scenario: Scenario) -> tuple[str, str]:
    """Return the answer of an estimate (``fails``, ``meets`` or empty) and its sentence."""
    name = f"Window {scenario.window_count()}" if scenario.rollout else scenario.name
    answer, words = estimate_answer(estimate, scenario)
    colon = ":" if words.startswith(_NO_ESTIMATE) else ""
    return answer, f"{name}{colon} {words}"


def estimate_answer(estimate: Estimate, scenario: Scenario) -> tuple[str, str]:
    """Return the answer of an estimate (``fails``, ``meets`` or empty) and its sentence without a subject."""
    if estimate.hopeless:
        return "fails", f"cannot meet the objectives: {estimate.hopeless[0]}"
    limits = scenario.objectives
    unknown: list[str] = []
    for words, metric, limit, text, most in (
        ("takes", "rollout_duration_s", limits.duration, duration_text, duration_text),
        ("p99", "rollout_latency_p99_s", limits.latency_p99, latency_text, limit_text),
        ("errors", "rollout_error_fraction", limits.error_fraction, percent_text, percent_text),
    ):
        figure: Range | None = getattr(estimate, metric)
        if limit is None:
            continue
        if figure is None:
            unknown.append(metric)
        elif figure.value > limit:
            return "fails", f"should fail: {words} {text(figure.value)}, above {most(limit)}"
    may_grow = any(scenario.second_count(name) for name in scenario.services)
    if limits.most_instances is not None and may_grow:
        unknown.append("most_instances_count")
    if not unknown:
        return "meets", "should meet every objective"
    reason = estimate.why_none(unknown[0])
    if reason is None:
        return "", "may do; what is asked of it needs simulation"
    return "", no_estimate_text(reason)


def failure_text(failure: Failure, names_service: bool) -> str:
    """Return one failure in words, such as ``web: instance 3: start failed 2 times``.

    Args:
        failure: The failure.
        names_service: True to name the service, where there are several.
    """
    subject = f"{failure.service}: " if names_service and failure.service else ""
    if failure.instance is not None:
        subject += f"instance {failure.instance + 1}: "
    return f"{subject}{_event_text(failure)}"


def _event_text(failure: Failure) -> str:
    observed, limit = failure.observed or 0.0, failure.limit or 0.0
    step = "" if failure.step is None else failure.step.replace("_", " ")
    over = "" if failure.over_s is None else f" over {failure.over_s:g} s"
    match failure.cause:
        case Cause.STEP_FAILED:
            return (
                f"{step} failed {count_text(observed)} times" if observed > 1 else f"{step} failed"
            )
        case Cause.DRAIN_TIMEOUT:
            return f"{step} failed, {count_text(observed)} requests in flight after {failure.over_s:g} s"
        case Cause.GUARD | Cause.CANARY:
            shown = latency_text if failure.figure is GuardFigure.LATENCY_P99_S else percent_text
            name = "p99" if failure.figure is GuardFigure.LATENCY_P99_S else "errors"
            return f"{failure.cause}{over}: {name} {shown(observed)}, limit {shown(limit)}"
        case Cause.NO_MORE_MAY_FOLLOW:
            return (
                f"{count_text(observed)} instances are left, none may be taken out with a minimum "
                f"of {count_text(limit)}"
            )
        case Cause.BATCH_FAILED:
            return f"all {instances_text(round(observed))} of a batch failed"
        case Cause.PROGRESS_DEADLINE:
            return f"no instance became available for {observed:g} s{_counts_text(failure.counts)}"
        case Cause.HEALTHY_DEADLINE:
            return f"not healthy within {limit:g} s of its deploy, still in {step}"
        case Cause.ENDLESS_OVERLOAD:
            return (
                f"endless overload: {count_text(observed)} requests/s come and at most "
                f"{count_text(limit)}/s are served"
            )
        case Cause.EXECUTOR:
            return failure.reported


def _counts_text(counts: FleetCounts | None) -> str:
    if counts is None:
        return ""
    return f" ({counts.updated} updated, {counts.available} available, {counts.failed} failed)"


def ignored_lines(scenario: Scenario) -> list[str]:
    """Return the written keys that change nothing, a sentence for each reason."""
    return [
        f"{', '.join(ignored.keys)}: ignored with {ignored.because}"
        for ignored in ignored_keys(scenario)
    ]


def note_text(note: Note) -> str:
    """Return one note as a sentence without its full stop."""
    classes = ", ".join(note.classes)
    match note.kind:
        case NoteKind.NO_CUT_OBJECTIVE:
            return (
                f"cut connections ({classes}) have no limit; objectives.cut_connections sets one, "
                "such as 0 or 5%"
            )
        case NoteKind.CONNECTIONS_BEGIN_EMPTY:
            return (
                f"long-lived connections ({classes}) begin empty with arrivals: {note.arrivals}, "
                "so that fewer are cut than would be; a warm-up as long as their lives fills them"
            )
        case NoteKind.ENDLESS_OVERLOAD:
            assert note.overload is not None
            return overload_text(note.overload)
        case NoteKind.OVERLOADED_BEFORE:
            return (
                "more arrives before the rollout than the whole fleet serves, so there is no steady "
                f"state to start from; assumed: {duration_text(note.given_s)} of warm-up "
                "(clock.warm_up)"
            )
        case NoteKind.MAY_BE_OVERLOADED_BEFORE:
            return (
                "inputs are uncertain, and in some runs more arrives before the rollout than the whole "
                "fleet serves, so these have no steady state to start from; assumed: "
                f"{duration_text(note.given_s)} of warm-up (clock.warm_up)"
            )
        case NoteKind.WARM_UP_TOO_SHORT:
            return (
                f"a steady state needs {duration_text(note.wanted_s)} of warm-up, the automatic one "
                f"ends at {duration_text(note.given_s)}; clock.warm_up sets another"
            )
        case NoteKind.WINDOW_LEFT_OUT:
            takes = f"its rollout takes about {duration_text(note.expected_s)}"
            why = (
                f"the limit is {duration_text(note.limit_s)}"
                if note.reason is WhyLeftOut.DURATION
                else "it costs more than all others together"
            )
            return f"window {note.window} was left out: {takes}, and {why}; --windows compares it"
        case NoteKind.DAYS_DRAWN:
            return (
                f"{note.weekday.capitalize()}: each run has the traffic of one of the trace's "
                f"{note.days_count} whole days of this weekday{_growth_text(note)}"
            )
        case NoteKind.MEAN_DAY:
            days = "1 whole day" if note.days_count == 1 else f"{note.days_count} whole days"
            factor = math.exp(NORMAL_95 * (note.spread or 0.0))
            spread = f"times a factor that lies between {1 / factor:.2f} and {factor:.2f} in nine of ten runs"
            return (
                f"{note.weekday.capitalize()}: the trace knows {days} of this weekday, fewer than "
                f"{FEWEST_DRAWN}, so each run has their mean"
                f"{f', {spread}' if note.spread else ' without any spread'}{_growth_text(note)}"
            )


def _growth_text(note: Note) -> str:
    return f", times a growth of {note.growth}" if note.growth else ""


def note_lines(scenario: Scenario, candidates: Sequence[Scenario] = ()) -> list[str]:
    """Return the notes on a scenario, a sentence for each."""
    return [note_text(note) for note in notes_of(scenario, candidates)]


def qualifying_lines(scenario: Scenario, candidates: Sequence[Scenario] = ()) -> list[str]:
    """Return a sentence for each note on an assumption that all figures of the scenario rest on."""
    notes = notes_of(scenario, candidates)
    return [note_text(note) for note in notes if note.kind in QUALIFY_FIGURES]


# Lost requests: by which cause, in which phase of the rollout, and when most of them

LOSSES_HEADING = "Requests lost, mean of a run: by cause and by what the rollout was doing"

CAUSE_TEXTS = {
    LossCause.REJECTED: "rejected",
    LossCause.REFUSED_AFTER_STOP: "refused after the stop",
    LossCause.REFUSED_AFTER_CRASH: "refused after a crash",
    LossCause.TIMED_OUT_IN_QUEUE: "timed out in the queue",
    LossCause.TIMED_OUT_IN_SERVICE: "timed out in service",
    LossCause.CUT_AT_DRAIN: "cut at the drain's timeout",
    LossCause.CUT_AT_STOP: "cut at the stop",
    LossCause.ERROR_OF_NEW_VERSION: "error of the new version",
    LossCause.ERROR_OF_OLD_VERSION: "error of the old version",
    LossCause.ERROR_OF_CRASH: "lost in a crash",
}

PHASE_TEXTS = {
    LossPhase.BEFORE: "before",
    LossPhase.TAKE_OUT: "take out",
    LossPhase.STOP: "stop",
    LossPhase.DEPLOY: "deploy",
    LossPhase.VERIFY: "verify",
    LossPhase.START: "start",
    LossPhase.RETURN: "return",
    LossPhase.BETWEEN: "between",
    LossPhase.AFTER: "after",
}


@dataclass(frozen=True)
class LossTable:
    """The table's texts: a row for each cause, a column for each phase that lost anything."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def loss_table(losses: Losses, runs: int) -> LossTable | None:
    """Return the losses as a table of means; None where nothing was lost.

    Args:
        losses: The losses of all runs added up.
        runs: Number of runs.
    """
    if not losses.total:
        return None
    counts = {(cell.cause, cell.phase): cell.count for cell in losses.cells()}
    phases = [phase for phase in PHASES if any(phase is used for _, used in counts)]
    rows = []
    for cause in CAUSES:
        of_cause = losses.of_cause(cause)
        if of_cause.total:
            numbers = [counts.get((cause, phase), 0) for phase in phases]
            rows.append((CAUSE_TEXTS[cause], *_cells(numbers, of_cause, runs)))
    if len(rows) > 1:
        numbers = [sum(counts.get((cause, phase), 0) for cause in CAUSES) for phase in phases]
        rows.append(("all", *_cells(numbers, losses, runs)))
    return LossTable(
        ("cause", *(PHASE_TEXTS[phase] for phase in phases), "all", "most in one second"),
        tuple(rows),
    )


def phases_text(losses: Losses, runs: int) -> str:
    """Return the phases of the losses by one cause: ``deploy 12, start 3, most 4 in the second from 18 s``."""
    if not losses.total:
        return ""
    parts = [
        f"{PHASE_TEXTS[cell.phase]} {count_text(cell.count / runs)}" for cell in losses.cells()
    ]
    second, count = losses.peak()
    return (
        f"{', '.join(parts)}, most {count_text(count / runs)} in the second at {clock_text(second)}"
    )


def _cells(numbers: list[int], losses: Losses, runs: int) -> list[str]:
    second, peak = losses.peak()
    texts = [count_text(number / runs) if number else "" for number in (*numbers, losses.total)]
    return [*texts, f"{count_text(peak / runs)} at {clock_text(second)}"]
