"""The kinds of changes that can help against a broken objective, and the order in which they are searched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from simulation.planning.alternatives.model import ChangeKind
from simulation.study.candidate_result import CandidateResult
from simulation.study.statistics.proportions import answer_of
from simulation.study.verdict import Objective, broken_objectives

_K = ChangeKind

_LOAD = (
    _K.MORE_INSTANCES,
    _K.NARROWER_WINDOW,
    _K.SURGE,
    _K.EARLIER_START,
    _K.LATER_START,
)
"""The changes that leave more capacity for each request: the remedies of an overload."""

_LOSSES = (_K.LONGER_PRE_STOP, _K.LONGER_DRAIN)
"""The changes that keep an instance until its requests have gone: the remedies of refused and cut requests."""

HELPING: Mapping[str, tuple[ChangeKind, ...]] = {
    Objective.LATENCY_P99: (*_LOAD, *_LOSSES, _K.HIGHER_P99_LIMIT),
    Objective.ERROR_FRACTION: (*_LOSSES, *_LOAD, _K.HIGHER_ERROR_LIMIT),
    "failed_requests": (*_LOSSES, *_LOAD),
    Objective.CUT_CONNECTIONS: (*_LOSSES, _K.EARLIER_START, _K.LATER_START),
    Objective.CUT_CONNECTIONS_FRACTION: _LOSSES,
    Objective.DURATION: (_K.WIDER_WINDOW, _K.SHORTER_PAUSE, _K.SURGE, _K.LONGER_DURATION_LIMIT),
    Objective.FREEZE: (
        *(_K.EARLIER_START, _K.LATER_START, _K.WIDER_WINDOW, _K.SHORTER_PAUSE),
        _K.SURGE,
    ),
    Objective.LOWEST_IN_POOL: (_K.NARROWER_WINDOW, _K.SURGE, _K.MORE_INSTANCES),
    Objective.ENDS_WELL: (*_LOAD, *_LOSSES),
    Objective.MOST_INSTANCES: (_K.NARROWER_WINDOW,),
    Objective.FAILED_INSTANCES: (),
}
"""For each objective the kinds of changes that can help, the most fitting first.

Each kind, made larger, never makes an objective worse against which it helps. So the smallest change
that suffices can be found by bisection.
"""


def runs_breaking(result: CandidateResult) -> dict[str, int]:
    """Return in how many runs each objective is broken; objectives that no run breaks are left out.

    An objective that is judged as failed, or that the fleet misses by itself, counts as broken in all.
    """
    verdict = result.verdict
    judged = getattr(verdict, "objectives", ())
    counts: dict[str, int] = {}
    for objective in judged:
        is_missed = objective.answer in ("fails", "misses_anyway")
        count = verdict.runs if is_missed else objective.runs_breaking
        counts[objective.name] = max(count, counts.get(objective.name, 0))
    if not judged:
        for run in result.runs:
            for name in {
                breach.objective.value for breach in broken_objectives(result.scenario, run)
            }:
                counts[name] = counts.get(name, 0) + 1
    return {name: count for name, count in counts.items() if count}


def objectives_at_fault(result: CandidateResult) -> tuple[str, ...]:
    """Return the objectives because of which a candidate does not meet, the most broken first.

    These are the ones that are shown to be broken in more runs than `objectives.in_runs` allows; where
    none is, all that any run breaks.
    """
    counts, runs = runs_breaking(result), len(result.runs)
    objectives = result.scenario.objectives
    named = sorted(counts, key=lambda name: -counts[name])
    shown = [
        name
        for name in named
        if answer_of(runs - counts[name], runs, objectives.in_runs, objectives.confidence)
        == "fails"
    ]
    return tuple(shown or named)


def helping_kinds(at_fault: Iterable[str]) -> tuple[ChangeKind, ...]:
    """Return the kinds of changes that can help against every one of the objectives, in their order."""
    lists = [HELPING.get(name, _LOAD) for name in at_fault]
    if not lists:
        return ()
    return tuple(kind for kind in lists[0] if all(kind in kinds for kinds in lists))


def is_clear(result: CandidateResult, kind: ChangeKind) -> bool:
    """Return whether no run breaks an objective against which the kind of change can help."""
    return not any(kind in HELPING.get(name, _LOAD) for name in runs_breaking(result))
