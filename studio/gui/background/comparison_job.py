"""What a comparison is as a job: the first look and the runs, and what is handed over on the way.

Enters: a scenario and its candidates. Leaves: a `Comparison`, again and again as more runs land.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from simulation.engines.compiled.code_cache import is_ready
from simulation.scenario.model import Scenario
from simulation.study.candidates import Candidate

if TYPE_CHECKING:
    from simulation.study.rows import Row
    from studio.gui.background.job import JobContext, Work

_RESULTS_EVERY_S = 0.5


def comparing(
    scenario: Scenario, candidates: tuple[Candidate, ...], stored_at: Path | None
) -> Work:
    """A comparison: a first look, then results as soon as there are any, and again as more land.

    The look is one replication of the scenario's own candidate, simulated in this thread, which is
    there long before others that take longer; the compiled engine lets go of the interpreter.

    Args:
        scenario: What is simulated.
        candidates: What is compared.
        stored_at: The scenario's file, beside which results are kept and looked for.
    """
    own = _own_place(scenario, candidates)

    def work(talk: JobContext) -> None:
        # What simulates is imported here: the first window is open before.
        from simulation.study.compare import compare  # noqa: PLC0415
        from simulation.study.rows import run_rows  # noqa: PLC0415
        from simulation.study.store import Store  # noqa: PLC0415

        if len(candidates) > 1 and is_ready():
            one = scenario.model_copy(update={"replications": 1})
            look = list(run_rows(one, candidates[own : own + 1], jobs=1, stopped=talk.should_stop))
            if look:
                talk.publish(compare(scenario, candidates[own : own + 1], look))
        talk.wait_for_cancelled_jobs()
        rows: list[Row] = []
        shown_at = 0.0
        with nullcontext() if stored_at is None else Store.beside(stored_at) as store:
            for row in run_rows(
                scenario, candidates, apart=True, store=store,
                stopped=talk.should_stop, paused=talk.should_pause,
            ):  # fmt: skip
                rows.append(row)
                talk.report_progress(len(rows), scenario.replications)
                now = time.monotonic()
                if now - shown_at > _RESULTS_EVERY_S and len(rows) < scenario.replications:
                    talk.publish(compare(scenario, candidates, rows))
                    shown_at = time.monotonic()
        if not talk.should_stop():
            talk.publish(compare(scenario, candidates, rows))

    return work


def _own_place(scenario: Scenario, candidates: Sequence[Candidate]) -> int:
    """Which candidate is the scenario's own, the first where none is."""
    if scenario.rollout is None:
        return 0
    windows = [candidate.window for candidate in candidates]
    own = scenario.window_count()
    return windows.index(own) if own in windows else 0
