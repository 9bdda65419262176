"""The background work that searches for changes with which a rollout would meet its objectives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studio.gui.background.held_cells import HeldCells, Hold
from studio.gui.background.job import JobContext, Work

if TYPE_CHECKING:
    from simulation.study.compare import Comparison


def alternatives_work(comparison: Comparison, hold: Hold) -> Work:
    """Return work that publishes the `Alternatives` to a comparison in which no candidate meets."""

    def work(context: JobContext) -> None:
        # The first window is open before this is needed.
        from simulation.planning.alternatives.find import (  # noqa: PLC0415
            find_alternatives,
            tried_in_comparison,
        )

        held = HeldCells(context, hold)
        found = find_alternatives(
            comparison.scenario,
            tried_in_comparison(comparison),
            held.execution,
            simulate=lambda cells, frame, _execution: held.simulate(cells, frame),
            on_progress=lambda _kind, done, total: context.report_progress(done, total),
        )
        if found is not None:
            context.publish(found)

    return work
