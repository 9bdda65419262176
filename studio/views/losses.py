"""Lost requests as a small table: by which cause, in which phase of the rollout, and when most of them."""

from __future__ import annotations

from dataclasses import dataclass

from simulation.results.losses import CAUSES, PHASES, LossCause, Losses, LossPhase
from studio.views.figures_text import clock_text, count_text

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
