"""The background work that finds out why candidates of a complete comparison fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulation.study.compare import Comparison
    from studio.gui.background.job import JobContext, Work


def needs_explaining(comparison: Comparison) -> bool:
    """Return whether a candidate with a rollout fails and has no diagnosis yet."""
    return comparison.scenario.rollout is not None and any(
        result.verdict.answer not in ("meets", "undecided") and result.diagnosis is None
        for result in comparison.candidates
    )


def explaining(comparison: Comparison) -> Work:
    """Return work that publishes the comparison with a diagnosis at each candidate that fails.

    The work simulates in its own thread, by the compiled engine, which releases the interpreter lock:
    the worker processes may belong to the map of *Timing* by now.
    """

    def work(context: JobContext) -> None:
        from simulation.study.execution import Execution  # noqa: PLC0415 - loads what simulates
        from simulation.study.why.explain import explain_failures  # noqa: PLC0415

        here = Execution(jobs=1, is_stopped=context.should_stop, is_paused=context.should_pause)
        explained = explain_failures(comparison, here, on_progress=context.report_progress)
        if not context.should_stop():
            context.publish(explained)

    return work
