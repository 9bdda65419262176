"""The main window: top bar, scenario on the left, the page, progress at the bottom."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtGui import QAction, QCloseEvent, QKeySequence
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QMenu,
    QProgressBar,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from executor.errors import RollcastError
from executor.plan_file import write_plan
from simulation.planner import make_plan
from simulation.scenario_file import ScenarioFile
from studio.format import candidate_name
from studio.gui.dialogs import ask_about_changes, ask_for_file
from studio.gui.document import Document
from studio.gui.pages.compare import ComparePage
from studio.gui.palette import apply_theme
from studio.gui.panel import ScenarioPanel
from studio.gui.settings import Settings
from studio.gui.tasks import Jobs
from studio.gui.widgets.elided import ElidedLabel
from studio.theme import DARK, GAP_PX, LIGHT

SAID_FOR_MS = 15_000
SMALLEST = (1024, 640)
FIRST_SIZE = (1180, 760)
SCENARIOS = "Scenarios (*.yaml *.yml)"


class StudioWindow(QMainWindow):
    """A document with everything around it."""

    def __init__(self, document: Document, settings: Settings) -> None:
        super().__init__()
        self.document, self._settings = document, settings
        self._theme = settings.theme
        self.jobs = Jobs(document)
        self.page = ComparePage(document, self._theme)
        self.panel = ScenarioPanel(document)
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(SAID_FOR_MS)
        self.setMinimumSize(*SMALLEST)
        self.resize(*FIRST_SIZE)
        self._make_actions()
        self._lay_out()
        self._connect()
        self._show_document()
        self.page.table.setFocus()

    # How it is put together

    def _make_actions(self) -> None:
        def action(words: str, keys: str, slot: object) -> QAction:
            made = QAction(words, self)
            made.setShortcut(QKeySequence(keys))
            made.triggered.connect(slot)
            self.addAction(made)
            return made

        self.open_action = action("Open…", "Ctrl+O", self._ask_open)
        self.save_action = action("Save", "Ctrl+S", self._save)
        self.save_as_action = action("Save as…", "Ctrl+Shift+S", self._ask_save)
        self.run_action = action("Run comparison", "F5", self._run)
        self.cancel_action = action("Cancel", "Esc", self.jobs.cancel)
        self.plan_action = action("Write plan…", "Ctrl+E", self._ask_plan)
        self.theme_action = action("Dark or light", "Ctrl+T", self._toggle_theme)
        self.quit_action = action("Quit", "Ctrl+Q", self.close)
        stack = self.document.undo
        self.undo_action, self.redo_action = (
            stack.createUndoAction(self),
            stack.createRedoAction(self),
        )
        self.undo_action.setShortcut(QKeySequence("Ctrl+Z"))
        self.redo_action.setShortcuts([QKeySequence("Ctrl+Shift+Z"), QKeySequence("Ctrl+Y")])
        self.addActions([self.undo_action, self.redo_action])

    def _lay_out(self) -> None:
        centre = QWidget()
        centre.setObjectName("centre")
        outer = QVBoxLayout(centre)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(self._top_bar())
        middle = QHBoxLayout()
        middle.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, GAP_PX)
        middle.setSpacing(GAP_PX)
        middle.addWidget(self.panel)
        middle.addWidget(self.page, 1)
        outer.addLayout(middle, 1)
        outer.addWidget(self._bottom_bar())
        self.setCentralWidget(centre)

    def _top_bar(self) -> QFrame:
        bar = QFrame()
        bar.setObjectName("topBar")
        layout = QHBoxLayout(bar)
        layout.setContentsMargins(14, 8, 14, 8)
        layout.setSpacing(8)
        self._title, self._question = ElidedLabel(), ElidedLabel()
        self._title.setObjectName("title")
        self._question.setObjectName("question")
        layout.addWidget(self._title)
        layout.addSpacing(6)
        layout.addWidget(self._question)
        layout.addStretch(1)
        for action, glyph in ((self.undo_action, "↶"), (self.redo_action, "↷")):
            button = QToolButton()
            button.setDefaultAction(action)
            action.setIconText(glyph)
            # Qt rewrites the texts of these two; the glyph must stay what is shown.
            action.changed.connect(lambda b=button, a=action, g=glyph: _show_glyph(b, a, g))
            _show_glyph(button, action, glyph)
            layout.addWidget(button)
        layout.addWidget(self._menu_button())
        self.run_button = QPushButton("Run comparison")
        self.run_button.setToolTip("Simulate all candidates again (F5)")
        self.run_button.clicked.connect(self._run)
        self.plan_button = QPushButton("Write plan")
        self.plan_button.clicked.connect(self._ask_plan)
        layout.addWidget(self.run_button)
        layout.addWidget(self.plan_button)
        return bar

    def _menu_button(self) -> QToolButton:
        button = QToolButton()
        button.setObjectName("menu")
        button.setText("File")
        button.setAccessibleName("File")
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(button)
        menu.addActions([self.open_action, self.save_action, self.save_as_action])
        self._recent = menu.addMenu("Recent")
        self._recent.setToolTipsVisible(True)  # files of one name differ in their folders
        self._recent.aboutToShow.connect(self._list_recent)
        menu.addSeparator()
        menu.addActions([self.theme_action, self.quit_action])
        button.setMenu(menu)
        return button

    def _bottom_bar(self) -> QFrame:
        bar = QFrame()
        bar.setObjectName("bottomBar")
        layout = QHBoxLayout(bar)
        layout.setContentsMargins(14, 4, 14, 4)
        layout.setSpacing(10)
        self._runs, self._said = QLabel(), ElidedLabel(name="Message")
        self._runs.setObjectName("soft")
        self._said.setObjectName("soft")
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._progress.setFixedWidth(120)
        self._progress.setAccessibleName("Progress of the comparison")
        self._done = QLabel()
        self._done.setObjectName("soft")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("End the comparison; what has landed is kept (Esc)")
        self.cancel_button.clicked.connect(self.jobs.cancel)
        layout.addWidget(self._runs)
        layout.addWidget(self._said)
        layout.addStretch(1)
        for widget in (self._progress, self._done, self.cancel_button):
            layout.addWidget(widget)
        bar.setFixedHeight(36)
        return bar

    def _connect(self) -> None:
        document, jobs = self.document, self.jobs
        document.opened.connect(self._show_document)
        document.edited.connect(self._show_document)
        document.edited.connect(self._said.clear)  # what was said is of what was
        document.compared.connect(self._show_plan_button)
        document.selected.connect(self._show_plan_button)
        document.refused.connect(self.say_wrong)
        self.panel.typing.connect(lambda: self.save_action.setEnabled(True))
        jobs.started.connect(self._show_running)
        jobs.ended.connect(self._show_running)
        jobs.progressed.connect(self._show_progress)
        jobs.failed.connect(self.say_wrong)
        self._quiet.timeout.connect(self._said.clear)
        self._show_running()

    # What it shows

    def _show_document(self) -> None:
        scenario = self.document.scenario
        mark = " *" if self.document.is_changed else ""
        self._title.setText(f"{scenario.name}{mark}")
        self._question.setText(scenario.question)
        self.setWindowTitle(f"{scenario.name}[*] – Rollcast")
        self.setWindowModified(self.document.is_changed)
        self.save_action.setEnabled(self.document.is_changed)
        self._runs.setText(f"seed {scenario.seed} · {scenario.replications} runs each")
        self._show_plan_button()

    def _show_plan_button(self) -> None:
        result, comparison = self.document.selected_result, self.document.comparison
        self._show_primary()
        if result is None or comparison is None or self.document.selection is None:
            self._set_plan(False, "Write plan", "Run the comparison first")
            return
        name = candidate_name(comparison, self.document.selection).lower()
        words = f"Write plan for window {result.candidate.window}"
        if self.document.is_stale:
            self._set_plan(False, words, "The scenario was changed: run the comparison again")
        elif self.jobs.is_running:
            self._set_plan(False, words, "Wait until the comparison is done")
        elif result.verdict.answer != "meets":
            reasons = "; ".join(result.verdict.reasons)
            self._set_plan(
                False, words, f"{name} is no plan, it {result.verdict.answer}: {reasons}"
            )
        else:
            self._set_plan(True, words, "A validated plan for the executor (Ctrl+E)")

    def _set_plan(self, enabled: bool, words: str, tip: str) -> None:
        self.plan_button.setEnabled(enabled)
        self.plan_action.setEnabled(enabled)
        self.plan_button.setText(words)
        self.plan_button.setToolTip(tip)

    def _show_primary(self) -> None:
        """The button that leads on has the accent: run what is stale, else write the plan."""
        run_first = self.document.comparison is None or self.document.is_stale
        for button, is_primary in ((self.run_button, run_first), (self.plan_button, not run_first)):
            button.setObjectName("primary" if is_primary else "")
            button.style().unpolish(button)
            button.style().polish(button)

    def _show_running(self) -> None:
        running = self.jobs.is_running
        for widget in (self._progress, self._done, self.cancel_button):
            widget.setVisible(running)
        self.cancel_action.setEnabled(running)
        if running:
            self._show_progress(0, self.document.scenario.replications)
        self.page.set_running(running)
        self._show_plan_button()

    def _show_progress(self, done: int, total: int) -> None:
        self._progress.setRange(0, total)
        self._progress.setValue(done)
        self._done.setText(f"{done} of {total}")

    def say(self, words: str) -> None:
        """Says something in the bottom bar for a while."""
        self._show_said(words, "soft")
        self._quiet.start()

    def say_wrong(self, words: str) -> None:
        """Says what is wrong; it stays until something else is done."""
        self._show_said(f"✗ {words}", "bad")
        self._quiet.stop()

    def _show_said(self, words: str, look: str) -> None:
        self._said.setText(words)
        self._said.setObjectName(look)
        self._said.style().unpolish(self._said)
        self._said.style().polish(self._said)

    @property
    def said(self) -> str:
        """What the bottom bar says."""
        return self._said.text()

    def set_theme(self, name: str) -> None:
        """Shows everything in the light or the dark theme."""
        self._theme = DARK if name == DARK.name else LIGHT
        application = QApplication.instance()
        if isinstance(application, QApplication):
            apply_theme(application, self._theme)
        self.page.set_theme(self._theme)

    # What a person asks for

    def open(self, path: Path) -> bool:
        """Opens a scenario and compares its windows; says why when it cannot."""
        try:
            file = ScenarioFile.load(path)
        except RollcastError as error:
            self.say_wrong(str(error))
            return False
        self.jobs.cancel()
        self.document.open(file)
        self._settings.remember(path)
        self.jobs.start()
        return True

    def write_plan(self, path: Path) -> bool:
        """Writes the plan of the candidate that is looked at; says why when it cannot."""
        comparison, result = self.document.comparison, self.document.selected_result
        if comparison is None or result is None:
            return False
        try:
            write_plan(path, make_plan(comparison.scenario, result))
        except RollcastError as error:
            self.say_wrong(str(error))
            return False
        self.say(f"✓ The plan for window {result.candidate.window} is in {path}")
        return True

    def save_as(self, path: Path) -> bool:
        """Writes the scenario; says why when it cannot."""
        try:
            self.document.save(path)
        except RollcastError as error:
            self.say_wrong(str(error))
            return False
        self._settings.remember(path)
        self.say(f"✓ Saved as {path}")
        return True

    def _run(self) -> None:
        self._said.clear()
        self.panel.take_typed()
        self.jobs.start()

    def _save(self) -> bool:
        self.panel.take_typed()
        path = self.document.state.file.path
        if path is not None:
            return self.save_as(path)
        self._ask_save()
        return False

    def _ask_open(self) -> None:
        self.panel.take_typed()
        ask = partial(ask_for_file, self, "Open a scenario", SCENARIOS, self.open)
        self._with_changes_kept(ask)

    def _ask_save(self) -> None:
        self.panel.take_typed()
        name = str(self.document.state.file.path or f"{self.document.scenario.name}.yaml")
        ask_for_file(self, "Save the scenario as", SCENARIOS, self.save_as, name)

    def _ask_plan(self) -> None:
        self.panel.take_typed()
        if not self.plan_action.isEnabled():
            return  # what was typed has made the results stale
        name = f"{self.document.scenario.name}.plan.json"
        ask_for_file(self, "Write the plan to", "Plans (*.json)", self.write_plan, name)

    def _list_recent(self) -> None:
        self._recent.clear()
        for path in self._settings.recent():
            entry = self._recent.addAction(path.name.replace("&", "&&"))
            entry.setToolTip(str(path))
            entry.triggered.connect(partial(self._with_changes_kept, partial(self.open, path)))

    def _toggle_theme(self) -> None:
        self.set_theme(LIGHT.name if self._theme is DARK else DARK.name)
        self._settings.theme = self._theme

    def closeEvent(self, event: QCloseEvent) -> None:
        self.panel.take_typed()
        if self.document.is_changed and not self.property("leaving"):
            event.ignore()
            self._with_changes_kept(self._leave)
            return
        self._settings.geometry = self.saveGeometry()
        self.jobs.close()
        super().closeEvent(event)

    def _with_changes_kept(self, then: Callable[[], object], _checked: bool = False) -> None:
        """Does what changes would be lost by, once it is said what shall become of them."""
        if self.document.is_changed:
            ask_about_changes(self, self.document.scenario.name, self._save, then)
        else:
            then()

    def _leave(self) -> None:
        self.setProperty("leaving", True)
        self.close()


def _show_glyph(button: QToolButton, action: QAction, glyph: str) -> None:
    button.setText(glyph)
    button.setToolTip(action.text())
    button.setAccessibleName(action.text())
