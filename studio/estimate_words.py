"""What closed forms expect of a scenario, in words; and why there is no number where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulation.no_estimate import NoEstimate, Why
from studio.format import duration_text, latency_text, limit_text, percent_text

if TYPE_CHECKING:
    from simulation.estimate import Estimate
    from simulation.scenario import Scenario

_REASONS = {
    Why.SEVERAL_SERVICES: "requests go through several services ({names})",
    Why.CLOSED_TRAFFIC: "clients of closed traffic wait for their answers before they ask again",
    Why.QUEUE_REJECTS: "a full queue rejects",
    Why.STICKY: "sticky sessions are not spread evenly, and go on to come while one drains",
    Why.WEIGHTS: "weights and a slow start spread requests unevenly",
    Why.SESSIONS: "a source hash spreads sessions unevenly over the instances' own queues",
    Why.TWO_CHOICES: "power of two choices keeps the instances' own queues shorter than chance",
    Why.FEWEST_AT_INSTANCES: "least connections does not even out the instances' own queues here",
    Why.UNEVEN_INSTANCES: "instances with queues of their own are not equally fast",
    Why.LEARNS_LATE: "the balancer learns late, and sends to instances that have stopped",
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
    Why.MAY_FAIL: "a verify or start of {names} may fail, which halts the rollout or prolongs it",
    Why.DRAIN_MAY_ABORT: "a drain of {names} may run out, which aborts it",
    Why.QUEUED_AT_DRAINS: "requests queue at instances of {names} that are taken out (load {share})",
    Why.CUT_CONNECTIONS: "drains cut long-lived connections, most of which came before the rollout",
    Why.CONNECTIONS_BEGIN_EMPTY: "how many long-lived connections are open is not known",
}
"""Of each reason the words; `names` are services, `share` is the share that belongs to it."""


def no_estimate_text(reason: NoEstimate) -> str:
    """Return why there is no number, such as ``no estimate: a full queue rejects``."""
    names, share = ", ".join(reason.services), percent_text(reason.fraction)
    return f"no estimate: {_REASONS[reason.why].format(names=names, share=share)}"


def estimate_sentence(found: Estimate, scenario: Scenario) -> tuple[str, str]:
    """Return the answer that closed forms point to, if any, and what they expect as a sentence."""
    name = f"Window {scenario.window_count()}" if scenario.rollout else scenario.name
    answer, words = estimate_answer(found, scenario)
    colon = ":" if found.beyond and not answer else ""
    return answer, f"{name}{colon} {words}"


def estimate_answer(found: Estimate, scenario: Scenario) -> tuple[str, str]:
    """Return the same, the sentence without its subject; the answer is ``fails``, ``meets`` or empty."""
    if found.hopeless:
        return "fails", f"cannot meet the objectives: {found.hopeless[0]}"
    limits = scenario.objectives
    told = (
        ("takes", found.rollout_duration_s, limits.duration, duration_text, duration_text),
        ("p99", found.rollout_latency_p99_s, limits.latency_p99, latency_text, limit_text),
        ("errors", found.rollout_error_fraction, limits.error_fraction, percent_text, percent_text),
    )
    for words, figure, limit, text, most in told:
        if figure is not None and limit is not None and figure.value > limit:
            return "fails", f"should fail: {words} {text(figure.value)}, above {most(limit)}"
    if found.beyond:
        return "", no_estimate_text(found.beyond[0])
    if any(figure is None and limit is not None for _, figure, limit, *_ in told):
        return "", "may do; what is asked of it needs simulation"
    return "meets", "should meet every objective"
