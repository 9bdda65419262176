"""Whether a candidate does what is asked of it, as a probability and with a stated confidence.

Enters: a candidate's scenario and its runs. Leaves: a `Verdict` with its reasons in words.
"""

from __future__ import annotations

from collections.abc import Sequence

from executor.plan import Verdict
from simulation.freeze import freeze_met
from simulation.results import RunResult
from simulation.scenario import Scenario
from simulation.statistics import MOST_RUNS, More, answer_of, clopper_pearson, runs_to_settle


def verdict(scenario: Scenario, runs: Sequence[RunResult]) -> Verdict:
    """Whether the objectives hold in the share of runs, with the confidence, that is asked for.

    One-sided Clopper–Pearson bounds of the share of runs that meet every objective: ``meets`` when
    even the lower one reaches ``in_runs``, ``fails`` when even the upper one does not.
    """
    objectives = scenario.objectives
    broken = [broken_objectives(scenario, run) for run in runs]
    good = sum(not reasons for reasons in broken)
    asked = (objectives.in_runs, objectives.confidence)
    answer = answer_of(good, len(runs), *asked)
    counts: dict[str, int] = {}
    for reasons in broken:
        for reason in reasons:
            counts[reason] = counts.get(reason, 0) + 1
    said = [f"{reason} in {count} of {len(runs)} runs" for reason, count in counts.items()]
    if answer == "undecided":
        said.append(
            f"{good} of {len(runs)} runs meet every objective, too few runs to show or refute "
            f"{objectives.in_runs * 100:g} % with {objectives.confidence * 100:g} % confidence; "
            f"{_more_in_words(runs_to_settle(good, len(runs), *asked))}"
        )
    lower, _upper = clopper_pearson(good, len(runs), objectives.confidence)
    return Verdict(
        answer=answer, runs_meeting=good, runs=len(runs), lower_bound=lower, reasons=said
    )


def _more_in_words(more: More) -> str:
    if more.expected is None:
        return f"even {MOST_RUNS:,} more would not settle it if they went on like that"
    if more.expected == more.to_meet:
        return f"{more.to_meet} more like them would show it"
    return (
        f"about {more.expected} more would settle it if they went on like that, and "
        f"{more.to_meet} that all meet them would show it"
    )


def broken_objectives(scenario: Scenario, run: RunResult) -> list[str]:
    """Which objectives a run breaks, in words; the figures are those of the rollout."""
    objectives = scenario.objectives
    reasons = [] if run.ended == "done" else [f"the rollout did not end well ({_ending(run)})"]
    steady = run.metrics["lowest_in_pool_count"] is None
    prefix = "" if steady else "rollout_"
    limits = (
        ("errors", f"{prefix}error_fraction", objectives.error_fraction, 100, "%"),
        ("p99", f"{prefix}latency_p99_s", objectives.latency_p99, 1, "s"),
        ("duration", "rollout_duration_s", objectives.duration, 1, "s"),
    )
    for word, name, limit, scale, unit in limits:
        if limit is None or (steady and name == "rollout_duration_s"):
            continue
        value = run.metrics[name]
        if value is None and run.ended == "done":
            continue  # nothing was served or nothing arrived: there is nothing to break the limit
        if value is not None and value > limit:
            reasons.append(f"{word} above {limit * scale:g} {unit}")
    duration_s = run.metrics["rollout_duration_s"]
    met = None if duration_s is None else freeze_met(scenario, duration_s)
    if met is not None:
        reasons.append(f"runs in the freeze {met}")
    lowest = run.metrics["lowest_in_pool_count"]
    fewest = objectives.lowest_in_pool
    if fewest is not None and lowest is not None and lowest < fewest:
        reasons.append(f"fewer than {fewest} in the pool")
    return reasons


def _ending(run: RunResult) -> str:
    """How a run ended, and by what: ``halted by a guard``, ``rolled_back, start failed``."""
    if not run.failures:
        return run.ended
    what = run.failures[-1]
    for name in ("guard", "canary"):
        if f"{name} over" in what or f"{name}:" in what:
            return f"{run.ended} by a {name}"
    step = what.split(": ")[-2]
    return f"{run.ended}, {step} failed"
