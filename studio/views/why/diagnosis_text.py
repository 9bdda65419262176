"""A diagnosis in words: what is lost or missed, the cause, and the change that helps."""

from __future__ import annotations

from collections.abc import Sequence

from simulation.results.losses import LossCause, LossPhase
from simulation.scenario.model import Scenario, Service
from simulation.scenario.rollout import Rollout
from simulation.study.compare import Comparison
from simulation.study.verdict import Breach, Objective, breach_text
from simulation.study.why.diagnosis import (
    ENDS_WELL,
    Diagnosis,
    Explanation,
    RootCause,
    TriedChange,
    Values,
)
from studio.views.figures_text import candidate_name, count_text, latency_text, percent_text
from studio.views.sentences import PHASE_TEXTS

_LOST = {
    LossCause.REJECTED: "rejected",
    LossCause.REFUSED_AFTER_STOP: "refused after their instance had stopped",
    LossCause.REFUSED_AFTER_CRASH: "refused after their instance had crashed",
    LossCause.TIMED_OUT_IN_QUEUE: "timed out in the queue",
    LossCause.TIMED_OUT_IN_SERVICE: "timed out in service",
    LossCause.CUT_AT_DRAIN: "cut at the drain's timeout",
    LossCause.CUT_AT_STOP: "cut at the stop",
    LossCause.ERROR_OF_NEW_VERSION: "answered with an error by the new version",
    LossCause.ERROR_OF_OLD_VERSION: "answered with an error by the old version",
    LossCause.ERROR_OF_CRASH: "lost in a crash",
}
"""How requests were lost, after "71 of 72 lost requests were"."""

_TIMES_OUT = frozenset({LossCause.TIMED_OUT_IN_QUEUE, LossCause.TIMED_OUT_IN_SERVICE})


def why_lines(scenario: Scenario, diagnosis: Diagnosis) -> list[str]:
    """Return the sentences of a diagnosis without their full stops: the cause, then the remedy.

    Args:
        scenario: The candidate's scenario.
        diagnosis: Its diagnosis.
    """
    return [why_sentence(scenario, diagnosis), remedy_sentence(diagnosis)]


def why_text(scenario: Scenario, diagnosis: Diagnosis) -> str:
    """Return a diagnosis in one line."""
    return ". ".join(why_lines(scenario, diagnosis))


def comparison_why_lines(comparison: Comparison) -> list[str]:
    """Return a line for each candidate that has a diagnosis, with its name and full stop."""
    return [
        f"{candidate_name(comparison, index)}: {why_text(result.scenario, result.diagnosis)}."
        for index, result in enumerate(comparison.candidates)
        if result.diagnosis is not None
    ]


def why_sentence(scenario: Scenario, diagnosis: Diagnosis) -> str:
    """Return what is lost or missed, and the cause."""
    sentence = "; ".join(
        f"{_effect(scenario, diagnosis, explanation)}: {_cause(scenario, diagnosis, explanation.cause)}"
        for explanation in diagnosis.explanations
    )
    if not diagnosis.missed_anyway:
        return sentence
    anyway = _objectives(scenario, diagnosis.missed_anyway)
    return f"{sentence}; without a rollout, too: {anyway}"


def remedy_sentence(diagnosis: Diagnosis) -> str:
    """Return the change with which the candidate meets, or that none was found."""
    remedy = diagnosis.remedy
    if remedy is None:
        return "No change that was tried avoids this"
    is_of_version = all(".versions." in key for key in remedy.values)
    limit = "No setting of the rollout avoids this; " if is_of_version else ""
    objectives = "every other objective" if diagnosis.missed_anyway else "every objective"
    return (
        f"{limit}`{values_text(remedy.values)}` would avoid this: {remedy.runs_meeting} of "
        f"{remedy.runs} runs on a fresh seed meet {objectives}"
    )


def values_text(values: Values) -> str:
    """Return values of a scenario as they stand in its file: ``rollout.pre_stop: 1s``."""
    return "; ".join(f"{key}: {_value_text(value)}" for key, value in values.items())


def trial_rows(trials: Sequence[TriedChange]) -> list[tuple[str, str]]:
    """Return a row for each trial: what was changed, and in how many runs the objectives were then met."""
    return [
        (
            values_text(trial.changes) or "no rollout",
            f"{trial.runs_meeting} of {trial.runs}" if trial.runs else "refused",
        )
        for trial in trials
    ]


def _value_text(value: object) -> str:
    if isinstance(value, dict):
        inside = ", ".join(f"{key}: {_value_text(part)}" for key, part in value.items())
        return f"{{{inside}}}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _effect(scenario: Scenario, diagnosis: Diagnosis, explanation: Explanation) -> str:
    """Return what went wrong: the lost requests that the cause explains, or the missed objectives."""
    missed = _objectives(scenario, explanation.objectives)
    if len(diagnosis.explanations) == 1:
        missed = f"{missed} in {diagnosis.runs_breaking} of {diagnosis.runs} runs"
    if explanation.loss is None or explanation.phase is None:
        return missed
    if explanation.cause is RootCause.FLEET:
        return f"{missed}, {count_text(diagnosis.lost_count)} requests lost"
    verb = "" if explanation.loss in _TIMES_OUT else "were "
    return (
        f"{count_text(explanation.lost_count)} of {count_text(diagnosis.lost_count)} lost requests "
        f"{verb}{_LOST[explanation.loss]}, most of them {_phase(explanation.phase)} ({missed})"
    )


def _phase(phase: LossPhase) -> str:
    text = PHASE_TEXTS[phase]
    if phase in (LossPhase.BEFORE, LossPhase.AFTER):
        return f"{text} the rollout"
    return "between the steps" if phase is LossPhase.BETWEEN else f"in the step {text}"


def _objectives(scenario: Scenario, names: Sequence[str]) -> str:
    return " and ".join(_objective(scenario, name) for name in names)


def _objective(scenario: Scenario, name: str) -> str:
    """Return an objective that is missed, in the words of verdicts."""
    if name == ENDS_WELL:
        return "the rollout does not end well"
    limit = getattr(scenario.objectives, name)
    cut = scenario.objectives.cut_limit() if name == "cut_connections" else None
    if cut is not None:
        name, limit = cut
    if name in set(Objective) and isinstance(limit, int | float):
        return breach_text(Breach(Objective(name), limit))
    return f"objectives.{name} is missed"


def _cause(scenario: Scenario, diagnosis: Diagnosis, cause: RootCause) -> str:
    """Return the cause in words, with the values of the scenario that make it."""
    rules = [rule for name in scenario.rolled_services() if (rule := scenario.rule(name))]
    services = [scenario.services[name] for name in scenario.rolled_services()]
    match cause:
        case RootCause.FLEET:
            return "the fleet misses this without a rollout, too"
        case RootCause.UNKNOWN:
            return (
                f"no single cause was found; {len(diagnosis.trials)} changes that take one thing away "
                "each were simulated"
            )
        case RootCause.FREEZE:
            return "the rollout runs in a freeze"
        case RootCause.CRASHES:
            return "instances crash, and the balancer goes on sending to them"
        case RootCause.GUARD:
            return "a guard stops a rollout that meets every objective without it"
        case RootCause.CONTRACT_TOO_EARLY:
            return "the contract step comes before the rollout, and the old version needs what it removes"
    return (
        _cause_in_versions(cause, services)
        or _cause_in_stops(cause, rules, services)
        or _cause_in_requests(cause, scenario)
        or _cause_in_rollout(cause, scenario, rules)
    )


def _cause_in_versions(cause: RootCause, services: Sequence[Service]) -> str:
    versions = [service.versions for service in services]
    match cause:
        case RootCause.ERRORS_OF_NEW_VERSION:
            share = max(each.new.error_fraction for each in versions)
            return f"the new version answers {percent_text(share)} of its requests with an error"
        case RootCause.SLOWER_VERSION:
            slower = max(each.new.service_factor / each.old.service_factor for each in versions)
            return f"the new version takes {slower:.3g} times as long for a request as the old one"
        case RootCause.COLD_VERSION:
            cold = max(each.new.cold.factor for each in versions)
            return f"an instance that has just started takes up to {cold:g} times as long for a request"
        case RootCause.STEP_FAILURES:
            share = max(max(each.new.verify_fails, each.new.start_fails) for each in versions)
            return f"up to {percent_text(share)} of the steps verify or start fail"
    return ""


def _cause_in_stops(cause: RootCause, rules: Sequence[Rollout], services: Sequence[Service]) -> str:
    match cause:
        case RootCause.MISSING_PRE_STOP:
            lag_s = max(service.balancer.propagation_delay for service in services)
            pre_stop_s = min(rule.pre_stop for rule in rules)
            return f"the balancer learns {lag_s:g} s late of a take-out and pre-stop is {pre_stop_s:g} s"
        case RootCause.BLACK_HOLE:
            policy = next(
                service.balancer.policy
                for service in services
                if service.balancer.policy in ("least_connections", "power_of_two")
            )
            return (
                "an instance that refuses everything looks idle, so "
                f"{policy.replace('_', ' ')} sends it more than its share"
            )
        case RootCause.DRAIN_TOO_SHORT:
            timeout_s = min(rule.drain.timeout for rule in rules)
            return f"requests in flight take longer than the drain's timeout of {timeout_s:g} s"
        case RootCause.STOP_TOO_HARD:
            if any(rule.stop.mode == "abrupt" for rule in rules):
                return "the stop is abrupt and cuts what is in flight"
            grace_s = min(rule.stop.grace for rule in rules)
            return (
                f"the grace period of {grace_s:g} s, counted from the take-out, ends before the "
                "requests in flight do"
            )
    return ""


def _cause_in_requests(cause: RootCause, scenario: Scenario) -> str:
    classes = scenario.traffic.classes.values()
    balancers = [service.balancer for service in scenario.services.values()]
    match cause:
        case RootCause.RETRY_STORM:
            most = max(kind.retries.attempts for kind in classes)
            return (
                f"clients send a failed request again, up to {most} times, and these retries "
                "overload the pool"
            )
        case RootCause.CLIENT_TIMEOUT:
            known = [kind.client_timeout for kind in classes if kind.client_timeout is not None]
            return (
                f"clients leave after {latency_text(min(known))}, and a longer wait would be enough"
            )
        case RootCause.QUEUE_TIMEOUT:
            waits = [each.queue_timeout for each in balancers if each.queue_timeout is not None]
            return (
                f"requests may wait {latency_text(min(waits))}, and a longer wait would be enough"
            )
        case RootCause.QUEUE_LIMIT:
            limits = [each.queue_limit for each in balancers if each.queue_limit is not None]
            return f"only {min(limits):,} requests may wait, and a longer queue would be enough"
    return ""


def _cause_in_rollout(cause: RootCause, scenario: Scenario, rules: Sequence[Rollout]) -> str:
    window, fleet = scenario.window_count(), scenario.service.instance_count
    match cause:
        case RootCause.PROGRESS_DEADLINE:
            deadlines = [rule.progress_deadline_s for rule in rules]
            known = min(each for each in deadlines if each is not None)
            return f"an instance takes longer than the progress deadline of {known:g} s"
        case RootCause.HEALTHY_DEADLINE:
            known = min(
                rule.healthy_deadline for rule in rules if rule.healthy_deadline is not None
            )
            return f"an instance takes longer than the healthy deadline of {known:g} s"
        case RootCause.SURGE:
            surge = max(scenario.surge_count(name) for name in scenario.rolled_services())
            return f"the surge of {surge} adds too many instances"
        case RootCause.SLOW_ROLLOUT:
            return f"only {window} of {fleet} instances may be under way at once"
        case _:
            return f"a window of {window} of {fleet} instances takes too much out of the pool"
