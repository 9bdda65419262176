"""A rollout while it runs: its steps beside the forecast, guards and figures, and its log."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from executor.plan.model import Plan
from studio.gui.background.rollout_job import RolloutJob
from studio.gui.pages.plan_draft import PlanDraft
from studio.gui.painted.waterfall import Waterfall
from studio.gui.widgets.lines import LineList
from studio.gui.widgets.log import PlainText
from studio.views.figures_text import Line
from studio.views.graph import typical_run
from studio.views.plan_text import steps_in_words
from studio.views.rollout_text import figure_lines, guard_lines, log_line
from studio.views.spans import Span, actual_spans, forecast_spans
from studio.views.theme import GAP_PX, Theme

LEAST_LOG_PX = 96
"""Minimum height of the log, in pixels: six lines."""

MOST_PX = 16_777_215
"""Qt's largest size of a widget, in pixels: no limit."""


class RolloutView(QWidget):
    """The waterfall of steps, the guards and figures beside it, and the log below."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.waterfall = Waterfall("Steps of each instance", theme)
        self.guards = LineList("Guards and figures")
        self.log = PlainText("Log", wraps=True)
        self._forecast: tuple[object, tuple[Span, ...]] = (None, ())
        self._log_card = _card(self.log, (5, 5, 5, 5))
        self._log_card.setMinimumHeight(LEAST_LOG_PX)
        outer, across = QVBoxLayout(self), QHBoxLayout()
        outer.setContentsMargins(0, 0, 0, 0)
        for layout in (outer, across):
            layout.setSpacing(GAP_PX)
        across.addWidget(_card(self.waterfall), 5)
        across.addWidget(_card(self.guards, (8, 8, 4, 8)), 3)
        outer.addLayout(across, 1)
        outer.addWidget(self._log_card)

    def show_rollout(self, rollout: RolloutJob | None, draft: PlanDraft, theme: Theme) -> None:
        """Show a rollout; where it is None, the steps that a draft would carry out."""
        plan = draft.plan if rollout is None else rollout.plan
        self._show_steps(rollout, draft, plan, theme)
        self.guards.show_lines([] if plan is None else _guard_lines(plan, rollout), theme)
        self._show_log(rollout, plan, theme)

    def forecast_of(self, draft: PlanDraft) -> tuple[Span, ...]:
        """Return the steps of a typical run of a draft's candidate."""
        run = draft.run
        source = None if run is None or draft.plan is None else (run.key, len(run.result.runs))
        if source != self._forecast[0]:
            run_shown = None if run is None else typical_run(run.result.runs)
            names = draft.scenario.all_instance_names()
            self._forecast = (
                source,
                () if run_shown is None else tuple(forecast_spans(run_shown.states, names)),
            )
        return self._forecast[1]

    def _show_steps(
        self, rollout: RolloutJob | None, draft: PlanDraft, plan: Plan | None, theme: Theme
    ) -> None:
        forecast = self.forecast_of(draft) if rollout is None else rollout.forecast
        timeline = None if rollout is None else rollout.timeline
        actual = [] if timeline is None else actual_spans(timeline)
        now_s = None
        if rollout is not None and rollout.is_open and actual:
            now_s = max(span.end_s for span in actual)
        names = () if plan is None else plan.instances
        self.waterfall.show_spans(names, forecast, actual, now_s, theme)

    def _show_log(self, rollout: RolloutJob | None, plan: Plan | None, theme: Theme) -> None:
        lines = [] if plan is None else steps_in_words(plan)
        if rollout is not None:
            lines = [log_line(line) for line in rollout.lines]
        self.log.show_theme(theme)
        self.log.show_lines(lines, follows=rollout is not None)
        self._log_card.setVisible(bool(lines))
        # During a rollout the waterfall matters most; of a dry run the user reads the log.
        is_dry_run = rollout is not None and rollout.where == "dry"
        self._log_card.setMaximumHeight(MOST_PX if is_dry_run else LEAST_LOG_PX)


def _guard_lines(plan: Plan, rollout: RolloutJob | None) -> list[Line]:
    timeline = None if rollout is None else rollout.timeline
    trial = None if rollout is None else rollout.trial
    measured = {} if timeline is None else timeline["measured"]
    if trial is not None:
        measured = {**measured, **trial.record.metrics}
    return [
        ("heading", "Guards"),
        *guard_lines(plan, timeline),
        ("heading", "Forecast" if timeline is None else "Measured and forecast"),
        *figure_lines(plan, measured, is_over=rollout is not None and rollout.code == 0),
        *([] if trial is None else [("bad", f"✗ {flag}") for flag in trial.record.flags]),
    ]


def _card(inside: QWidget, margins: tuple[int, int, int, int] = (10, 8, 10, 8)) -> QFrame:
    card = QFrame()
    card.setObjectName("card")
    layout = QVBoxLayout(card)
    layout.setContentsMargins(*margins)
    layout.addWidget(inside)
    return card
