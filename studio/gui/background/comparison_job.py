"""A comparison as a job: a first look at one candidate, then all runs, with results on the way.

Enters: a scenario and its cases. Leaves: a `Comparison`, again and again as more runs land.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simulation.engines.compiled.code_cache import is_ready
from simulation.scenario.model import Scenario
from simulation.study.case import Case

if TYPE_CHECKING:
    from studio.gui.background.job import JobContext, Work


def comparing(scenario: Scenario, cases: tuple[Case, ...], stored_at: Path | None) -> Work:
    """A comparison: a first look, then results as soon as there are any, and again as more land.

    The look is one replication of the scenario's own candidate, simulated in this thread, which is
    there long before others that take longer; the compiled engine releases the interpreter lock.

    Args:
        scenario: What is simulated.
        cases: What is compared.
        stored_at: The scenario's file, beside which results are kept and looked for.
    """
    own = _own_place(scenario, cases)

    def work(talk: JobContext) -> None:
        # What simulates is imported here: the first window is open before.
        from simulation.study.compare import compare  # noqa: PLC0415
        from simulation.study.driver import run_study  # noqa: PLC0415
        from simulation.study.execution import Execution  # noqa: PLC0415
        from simulation.study.rows import run_rows  # noqa: PLC0415

        if len(cases) > 1 and is_ready():
            one = scenario.model_copy(update={"replications": 1})
            here = Execution(jobs=1, is_stopped=talk.should_stop)
            look = list(run_rows(one, cases[own : own + 1], here))
            if look:
                talk.publish(compare(scenario, cases[own : own + 1], look))
        talk.wait_for_cancelled_jobs()
        comparison, _rows = run_study(
            scenario,
            cases,
            Execution(in_process=False, is_stopped=talk.should_stop, is_paused=talk.should_pause),
            stored_beside=stored_at,
            on_problem=talk.warn,
            on_progress=lambda eta: talk.report_progress(eta.done, eta.total),
            on_comparison=lambda comparison, _eta: talk.publish(comparison),
        )
        if comparison is not None:
            talk.publish(comparison)

    return work


def _own_place(scenario: Scenario, cases: Sequence[Case]) -> int:
    """Which candidate is the scenario's own, the first where none is."""
    if scenario.rollout is None:
        return 0
    windows = [case.candidate.window for case in cases]
    own = scenario.window_count()
    return windows.index(own) if own in windows else 0
