"""Why a candidate misses its objectives, by simulating what would be without each possible cause.

A cause is named where the runs that miss the objectives meet them once this one thing is taken away,
on the same draws. Losses by cause decide what is tried first, so that few runs are needed. A remedy is
the smallest change on a short ladder that meets in these runs, and then in fresh ones.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from executor.base.errors import BadInput
from simulation.estimates.overload import EndlessOverload, OverloadedFleet, find_endless_overload
from simulation.results.losses import LossCause, Losses, sum_losses
from simulation.results.run_result import RunResult
from simulation.scenario.freeze import find_freeze
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.study.candidate_result import CandidateResult
from simulation.study.case import Case, frame_of_cases
from simulation.study.compare import Comparison
from simulation.study.execution import DEFAULT_EXECUTION, Execution
from simulation.study.why.changes import (
    limited_objectives,
    with_objectives,
    with_values,
    without_rollout,
)
from simulation.study.why.diagnosis import (
    ENDS_WELL,
    Diagnosis,
    Explanation,
    Remedy,
    RootCause,
    TriedChange,
    Values,
)
from simulation.study.why.hypotheses import EXPLAINED, OVERLOADED, Hypothesis, hypotheses_of
from simulation.study.why.ladders import Ladder, more_instances
from simulation.study.why.missed import meets, missed_objectives
from simulation.study.why.trials import TRIAL_RUNS, Trials, helps

_MOST_CONFIRMATIONS = 4
"""Maximum number of changes that are confirmed on fresh seeds for one candidate."""

_NOT_IN_LOSSES = frozenset({ENDS_WELL, "cut_connections"})
"""What a cause may break without a lost request: an aborted drain, a connection that comes back."""

_FEWER = 1 / 3
"""A cause that is shown by fewer losses leaves at most this share of them when it is taken away."""

DiagnosisCallback = Callable[[int, int], None]
"""Is called with the number of candidates that are explained, and of all that will be."""


def explain_failures(
    comparison: Comparison,
    execution: Execution = DEFAULT_EXECUTION,
    *,
    with_undecided: bool = False,
    on_progress: DiagnosisCallback = lambda done, total: None,
) -> Comparison:
    """Return the comparison with a diagnosis at each candidate that fails.

    Args:
        comparison: The comparison of all rows.
        execution: Where and how to simulate. When it is stopped, candidates stay without a diagnosis.
        with_undecided: Whether undecided candidates get one, too, where any run misses an objective.
        on_progress: Called before the first candidate and after each.
    """
    frame = frame_of_cases([result.case for result in comparison.candidates])
    failing = [
        index
        for index, result in enumerate(comparison.candidates)
        if result.scenario.rollout is not None
        and (
            result.verdict.answer not in ("meets", "undecided")
            or (with_undecided and result.verdict.answer == "undecided")
        )
    ]
    results = list(comparison.candidates)
    for done, index in enumerate(failing):
        on_progress(done, len(failing))
        results[index] = explain(results[index], frame, execution)
    on_progress(len(failing), len(failing))
    return replace(comparison, candidates=tuple(results))


def explain(
    result: CandidateResult, frame: SimulatedInterval, execution: Execution = DEFAULT_EXECUTION
) -> CandidateResult:
    """Return the result with its diagnosis; without one where no run misses an objective, or when stopped.

    Args:
        result: The result of a candidate with a rollout, its runs those of the replications from 0 on.
        frame: The simulated time around the rollout in the study of the result.
        execution: Where and how to simulate.
    """
    diagnosis = diagnose(result.case, result.runs, frame, execution)
    return result if execution.is_stopped() else replace(result, diagnosis=diagnosis)


def diagnose(
    case: Case,
    runs: Sequence[RunResult],
    frame: SimulatedInterval,
    execution: Execution = DEFAULT_EXECUTION,
) -> Diagnosis | None:
    """Return why a candidate misses its objectives; None where no run misses one.

    Args:
        case: The candidate, with a rollout.
        runs: Its runs, by replication from 0 on.
        frame: The simulated time around the rollout in these runs.
        execution: Where and how to simulate.
    """
    return _Diagnostician(case.scenario, runs, frame, execution).diagnose()


@dataclass
class _Diagnostician:
    """The search for the cause in one candidate."""

    scenario: Scenario
    runs: Sequence[RunResult]
    frame: SimulatedInterval
    execution: Execution
    tried: list[TriedChange] = field(default_factory=list)
    confirmations: int = 0

    def __post_init__(self) -> None:
        breaking = [k for k, run in enumerate(self.runs) if not meets(self.scenario, run)]
        self.breaking_count = len(breaking)
        # Where no single run breaks but all together fail, every run is one to look at.
        self.looked_at = (breaking or list(range(len(self.runs))))[:TRIAL_RUNS]
        self.trials = Trials(self.frame, self.looked_at, self.execution)
        self.losses = sum_losses(run.losses for run in self.runs)

    def diagnose(self) -> Diagnosis | None:
        missed = missed_objectives(self.scenario, self.runs)
        if not missed:
            return None
        overload = find_endless_overload(self.scenario)
        if overload is not None:
            return self._explain_overload(overload)
        if ENDS_WELL not in missed and self._is_frozen():
            return self._diagnosis([(RootCause.FREEZE, missed)])
        anyway = self._missed_without_rollout(missed)
        rest = tuple(name for name in missed if name not in anyway)
        if not rest:
            judged = with_objectives(self.scenario, anyway)
            remedy = self._remedy(judged, more_instances(self.scenario))
            return self._diagnosis([(RootCause.FLEET, anyway)], remedy=remedy)
        # What is met is judged as well: a rollout must not end well by losing requests.
        judged = with_objectives(self.scenario, self._without(anyway))
        only = self._find_cause(rest, judged)
        if only is not None:
            remedy = self._remedy(judged, only.ladder)
            return self._diagnosis([(only.cause, rest)], anyway, remedy)
        return self._explain_one_by_one(rest, judged, anyway)

    def _explain_one_by_one(
        self, missed: tuple[str, ...], judged: Scenario, anyway: tuple[str, ...]
    ) -> Diagnosis:
        """Return the causes of objectives that no single cause explains, and a change for all of them."""
        found = self._find_causes(missed)
        causes: dict[RootCause, tuple[str, ...]] = {}
        changes: Values | None = {}
        for name, hypothesis in found.items():
            cause = RootCause.UNKNOWN if hypothesis is None else hypothesis.cause
            is_new = cause not in causes
            causes[cause] = (*causes.get(cause, ()), name)
            if hypothesis is None:
                changes = None
            elif changes is not None and is_new:
                alone = with_objectives(self.scenario, (name,))
                changes = self._add_change(alone, changes, hypothesis.ladder)
        remedy = self._remedy(judged, (changes,)) if changes else None
        return self._diagnosis(list(causes.items()), anyway, remedy)

    def _find_causes(self, missed: tuple[str, ...]) -> dict[str, Hypothesis | None]:
        """Return the cause of each objective, None where there is none, in the order of their finding.

        One cause may hide another, as lost requests count as slow ones. So an objective that no cause
        explains alone is asked about once more with the causes of the others taken away.
        """
        alone = {name: with_objectives(self.scenario, (name,)) for name in missed}
        found: dict[str, Hypothesis] = {}
        for known in (False, True):
            beside = tuple(found.values())
            if known and not beside:
                break
            for name in missed:
                if name not in found:
                    cause = self._find_cause((name,), alone[name], beside)
                    if cause is not None:
                        found[name] = cause
        return {**found, **{name: None for name in missed if name not in found}}

    def _add_change(self, aim: Scenario, changes: Values, ladder: Ladder) -> Values | None:
        """Return the changes with the first of a ladder that helps beside them; None where none does."""
        for values in ladder:
            together = {**changes, **values}
            changed = self._changed(aim, together)
            if changed is not None and self.trials.screen(changed) is not None:
                return together
        return None

    def _find_cause(
        self, missed: tuple[str, ...], aim: Scenario, beside: tuple[Hypothesis, ...] = ()
    ) -> Hypothesis | None:
        """Return the first cause whose removal makes the runs meet the objectives of ``aim``.

        Args:
            missed: The names of the objectives that are missed.
            aim: The scenario with the objectives that must be met.
            beside: Causes that are taken away at the same time; none of them alone suffices.
        """
        taken_away: Values = {}
        for hypothesis in beside:
            taken_away = {**taken_away, **hypothesis.removal}
        for hypothesis in sorted(self._ordered(missed), key=lambda each: each not in beside):
            removal = {**taken_away, **hypothesis.removal}
            is_known = bool(beside) and removal == hypothesis.removal
            if not is_known and self._is_cause(hypothesis, aim, removal):
                return hypothesis
        return None

    def _without(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in limited_objectives(self.scenario) if name not in names)

    def _is_frozen(self) -> bool:
        durations_s = [run.metrics["rollout_duration_s"] for run in self.runs]
        known_s = [each for each in durations_s if each is not None]
        met = sum(find_freeze(self.scenario, each) is not None for each in known_s)
        return 2 * met > len(self.runs)

    def _missed_without_rollout(self, missed: tuple[str, ...]) -> tuple[str, ...]:
        """Return which of the objectives the runs would miss without a rollout, too."""
        asked = tuple(name for name in missed if name != ENDS_WELL)
        ends_s = [self.runs[k].settled_s for k in self.looked_at]
        lasts_s = statistics.median(ends_s)
        if not asked or lasts_s <= 0:
            return ()
        control = without_rollout(with_objectives(self.scenario, asked), lasts_s)
        runs = self.trials.try_change(control)
        if not runs:
            return ()
        meeting = sum(meets(control, run) for run in runs)
        self.tried.append(TriedChange(RootCause.FLEET, {}, len(runs), meeting))
        return tuple(name for name in asked if not helps(with_objectives(control, (name,)), runs))

    def _ordered(self, missed: tuple[str, ...]) -> list[Hypothesis]:
        """Return the hypotheses that may explain the objectives, what explains most losses first."""
        counts = self.losses.by_cause()

        def explained_count(hypothesis: Hypothesis) -> int:
            return sum(counts[loss] for loss in hypothesis.losses)

        possible = [
            hypothesis
            for hypothesis in hypotheses_of(self.scenario)
            if hypothesis.may_explain(missed)
            and (
                explained_count(hypothesis)
                or not hypothesis.shows_in_losses_only
                or not _NOT_IN_LOSSES.isdisjoint(missed)
            )
        ]
        return sorted(possible, key=explained_count, reverse=True)

    def _is_cause(self, hypothesis: Hypothesis, aim: Scenario, removal: Values) -> bool:
        """Return whether the runs meet the objectives once the cause is taken away."""
        changed = self._changed(aim, removal)
        if changed is None:
            return False
        runs = self.trials.try_change(changed)
        meeting = sum(meets(changed, run) for run in runs)
        self.tried.append(TriedChange(hypothesis.cause, removal, len(runs), meeting))
        before = [self.runs[k] for k in self.looked_at[: len(runs)]]
        if hypothesis.is_shown_by_fewer and runs:
            own_before, own = (_lost_count(each, hypothesis.losses) for each in (before, runs))
            if own < _FEWER * own_before:
                return True
        # Without retries or deadlines, slow requests must not have become lost ones.
        has_more_lost = _lost_count(runs, OVERLOADED) > _lost_count(before, OVERLOADED)
        return helps(changed, runs) and not has_more_lost

    def _remedy(self, judged: Scenario, ladder: Ladder) -> Remedy | None:
        """Return the smallest change of a ladder with which the candidate meets, or None."""
        for values in ladder:
            if self.confirmations == _MOST_CONFIRMATIONS or self.execution.is_stopped():
                return None
            changed = self._changed(judged, values)
            screened = None if changed is None else self.trials.screen(changed)
            if changed is None or screened is None:
                continue
            self.confirmations += 1
            confirmed = self.trials.confirm(changed, screened, self.confirmations)
            if confirmed is not None:
                return Remedy(values, confirmed.runs, confirmed.runs_meeting, confirmed.seed)
        return None

    def _changed(self, judged: Scenario, values: Values) -> Scenario | None:
        """Return the scenario with other values; None where they break a rule."""
        try:
            return with_values(judged, values)
        except BadInput:
            return None

    def _explain_overload(self, overload: EndlessOverload) -> Diagnosis:
        is_any = overload.fleet is OverloadedFleet.ANY
        cause = RootCause.FLEET if is_any else RootCause.SLOWER_VERSION
        ladder = more_instances(self.scenario, overload.offered_rps / overload.capacity_rps)
        remedy = self._remedy(self.scenario, ladder)
        return self._diagnosis([(cause, (ENDS_WELL,))], remedy=remedy)

    def _diagnosis(
        self,
        causes: Sequence[tuple[RootCause, tuple[str, ...]]],
        anyway: tuple[str, ...] = (),
        remedy: Remedy | None = None,
    ) -> Diagnosis:
        return Diagnosis(
            explanations=tuple(self._explanation(*cause) for cause in causes),
            runs=len(self.runs),
            runs_breaking=self.breaking_count,
            lost_count=self.losses.total,
            missed_anyway=anyway,
            trials=tuple(self.tried),
            remedy=remedy,
        )

    def _explanation(self, cause: RootCause, missed: tuple[str, ...]) -> Explanation:
        explained = _of_causes(self.losses, EXPLAINED.get(cause, frozenset()))
        main = max(explained.cells(), key=lambda cell: cell.count, default=None)
        if main is None:
            return Explanation(cause, missed)
        share = explained.total / self.losses.total
        return Explanation(
            cause, missed, explained.total, share, main.cause, main.phase, main.peak_s
        )


def _lost_count(runs: Sequence[RunResult], causes: frozenset[LossCause]) -> int:
    return _of_causes(sum_losses(run.losses for run in runs), causes).total


def _of_causes(losses: Losses, causes: frozenset[LossCause]) -> Losses:
    return sum_losses(losses.of_cause(cause) for cause in causes)
