"""The top bar: the scenario's name, the pages, undo and redo, the menu, and the button to the plan."""

from __future__ import annotations

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QPushButton, QSizePolicy, QToolButton

from studio.gui.background.jobs import Jobs
from studio.gui.document.document import Document
from studio.gui.toolkit.actions import ACTIONS, PAGES, Actions
from studio.gui.widgets.elided import ElidedLabel
from studio.gui.widgets.looks import look_as
from studio.gui.widgets.segmented import Segmented
from studio.views.figures_text import MISSES_ANYWAY

_KEYS = {spec.key: spec.shortcuts[0] for spec in ACTIONS}


class TopBar(QFrame):
    """The bar with the open scenario; its buttons trigger the window's actions."""

    def __init__(self, document: Document, jobs: Jobs, actions: Actions) -> None:
        super().__init__()
        self.setObjectName("topBar")
        self._document, self._jobs = document, jobs
        layout = QHBoxLayout(self)
        layout.setContentsMargins(14, 7, 14, 7)
        layout.setSpacing(6)
        self._title, self._question = ElidedLabel(), ElidedLabel()
        self._title.setObjectName("title")
        self._question.setObjectName("question")
        self.pages = Segmented(
            "Page", [(key, words, f"{tip} ({_KEYS[f'view.{key}']})") for key, words, tip in PAGES]
        )
        self.menu_button = QToolButton()
        self.menu_button.setObjectName("menu")
        self.menu_button.setText("Menu")
        self.menu_button.setAccessibleName("Menu")
        self.menu_button.setToolTip("All actions; Ctrl+K finds an action by its name")
        self.menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu_button.setMenu(QMenu(self.menu_button))
        self.plan_button = QPushButton("Plan")
        self.plan_button.clicked.connect(actions["view.plan"].trigger)
        layout.addWidget(self._title)
        layout.addSpacing(4)
        self._question.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        layout.addWidget(self._question, 1)
        layout.addWidget(self.pages)
        layout.addSpacing(8)
        for key, glyph in (("edit.undo", "↶"), ("edit.redo", "↷")):
            layout.addWidget(_glyph_button(actions[key], glyph))
        layout.addWidget(self.menu_button)
        layout.addWidget(self.plan_button)
        for signal in (
            document.opened, document.edited, document.compared, document.selected,
            document.listed, jobs.started, jobs.ended,
        ):  # fmt: skip
            signal.connect(self.show_document)
        self.show_document()

    def show_document(self) -> None:
        """Show the scenario's name, and the plan that the button leads to."""
        scenario = self._document.scenario
        mark = " *" if self._document.is_changed else ""
        self._title.setText(f"{scenario.name}{mark}")
        self._question.setText(scenario.question)
        run = self._document.current_run
        text, is_ready, tip = "Plan", False, "Simulate first (F5)"
        if run is not None:
            if run.scenario.rollout is not None:
                text = f"Plan window {run.result.candidate.window}"
            is_ready, tip = plan_state(self._document, self._jobs)
        self.plan_button.setText(text)
        self.plan_button.setToolTip(tip)
        look_as(self.plan_button, "primary" if is_ready else "")


def plan_state(document: Document, jobs: Jobs) -> tuple[bool, str]:
    """Return whether the selected run can become a plan, and a sentence that says why not, or how."""
    run = document.current_run
    if run is None:
        return False, "Run the comparison first"
    if document.is_stale:
        return False, "The scenario was changed: wait for its simulation, or simulate it now (F5)"
    if jobs.is_running:
        return False, "Wait until the comparison is done"
    if run.scenario.rollout is None:
        return False, "The scenario has no rollout"
    services = run.scenario.rolled_services()
    if len(services) > 1:
        return False, f"A plan is for one service; this scenario releases {len(services)}"
    verdict = run.result.verdict
    if verdict.answer != "meets":
        reasons = "; ".join(verdict.reasons)
        state = {
            "fails": "fails its objectives",
            MISSES_ANYWAY: "misses an objective anyway, without a rollout too",
        }.get(verdict.answer, "is undecided")
        return False, f"{run.name} {state}, so it cannot become a plan: {reasons}"
    return True, f"See {run.name.lower()} as a plan for the executor"


def _glyph_button(action: QAction, glyph: str) -> QToolButton:
    """Return a button that shows a glyph. Qt overwrites its text whenever the action changes."""
    button = QToolButton()
    button.setDefaultAction(action)

    def show() -> None:
        button.setText(glyph)
        button.setToolTip(f"{action.text()} ({action.shortcut().toString()})")
        button.setAccessibleName(action.text())

    action.changed.connect(show)
    show()
    return button
