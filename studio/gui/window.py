"""The main window: the open document, its pages, and the bars and docks around them.

The window assembles the parts and says what each action does; it decides nothing about rollouts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module

from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtGui import QCloseEvent, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QDockWidget,
    QHBoxLayout,
    QMainWindow,
    QMenu,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from studio.gui.background.job import JobState
from studio.gui.background.jobs import Jobs
from studio.gui.docks.jobs_dock import JobsPanel
from studio.gui.docks.lessons_dock import LessonPanel
from studio.gui.docks.runs_dock import RunsPanel
from studio.gui.docks.scenario_dock import ScenarioPanel
from studio.gui.document.document import Document
from studio.gui.frame.alternatives_panel import AlternativesPanel
from studio.gui.frame.bottom_bar import BottomBar
from studio.gui.frame.command_palette import CommandPalette
from studio.gui.frame.export import export_charts, export_data, export_report
from studio.gui.frame.file_watch import FileWatch
from studio.gui.frame.files import Filing
from studio.gui.frame.first_run import FirstRun
from studio.gui.frame.headline import Headline
from studio.gui.frame.recovery import Recovery
from studio.gui.frame.start_cards import StartCards
from studio.gui.frame.top_bar import TopBar, plan_state
from studio.gui.pages.base import Page
from studio.gui.toolkit.actions import PAGES, Actions
from studio.gui.toolkit.qt_theme import apply_theme
from studio.gui.toolkit.settings import Settings
from studio.gui.widgets.dialogs import ask_to_halt, show_about, show_inside, show_settings
from studio.resources import EXAMPLE, scenarios_dir
from studio.views.theme import DARK, GAP_PX, LIGHT

MINIMUM_SIZE = (1024, 640)
FIRST_SIZE = (1180, 760)
FIRST_PAGE = "replay"
RUNS_PX, JOBS_PX = 256, 150
PAGE_INTERVAL_MS = 150
FOLDS_BELOW_PX = 1120
"""In a window narrower than this, in pixels, the list of runs folds away."""

_PAGE_CLASSES = {
    "replay": "ReplayPage",
    "compare": "ComparePage",
    "trade_off": "TradeOffPage",
    "timing": "TimingPage",
    "plan": "PlanPage",
    "execute": "ExecutePage",
}
_SIDES = {
    "left": Qt.DockWidgetArea.LeftDockWidgetArea,
    "right": Qt.DockWidgetArea.RightDockWidgetArea,
    "lessons": Qt.DockWidgetArea.RightDockWidgetArea,
    "bottom": Qt.DockWidgetArea.BottomDockWidgetArea,
}


class StudioWindow(QMainWindow):
    """A document with its pages, bars and docks."""

    def __init__(self, document: Document, settings: Settings) -> None:
        super().__init__()
        self.document, self._settings = document, settings
        document.setParent(self)  # the document must not be deleted before the widgets that show it
        self._theme = settings.theme
        self.jobs = Jobs(document)
        self.jobs.answers_edits = lambda: settings.simulates_at_once
        self.panel = ScenarioPanel(document)
        self.filing = Filing(self, document, self.jobs, settings, self.panel.commit_typed)
        filing = self.filing
        self.recovery = Recovery(
            document, filing.show, settings.recent, filing.ask_about_changes_then
        )
        self.file_watch = FileWatch(document, filing.ask_save, self.panel.commit_typed)
        self.first_run = FirstRun(document, self.jobs)
        self.lessons = LessonPanel(document, self.jobs, filing.ask_about_changes_then)
        self.runs = RunsPanel(document)
        self.jobs_panel = JobsPanel(self.jobs)
        self.headline = Headline(document, self.jobs, self._theme)
        self.alternatives = AlternativesPanel(
            document, self.jobs, self._theme, lambda: settings.simulates_at_once
        )
        self.setMinimumSize(*MINIMUM_SIZE)
        self.resize(*FIRST_SIZE)
        self.actions_by_key = Actions(self, self._slots())
        self.top_bar = TopBar(document, self.jobs, self.actions_by_key)
        self.bottom_bar = BottomBar(document, self.jobs, self.actions_by_key)
        self.pages: dict[str, Page] = {}
        self._stack = QStackedWidget()
        self._lay_out()
        self._fill_menu()
        self._connect()
        self._show_document()
        self.show_page(FIRST_PAGE)

    # Assembly

    def _slots(self) -> dict[str, Callable[[], object]]:
        """Return what each action does."""
        filing, document = self.filing, self.document
        return {
            "file.new": filing.ask_new,
            "file.open": filing.ask_open,
            "file.start": self.show_start,
            "file.example": partial(filing.ask_shipped, scenarios_dir() / EXAMPLE),
            "file.import": filing.ask_import,
            "file.save": filing.save,
            "file.save_as": filing.ask_save,
            "file.export_charts": self._export_charts,
            "file.export_data": lambda: export_data(
                self, document, self.jobs, self.show_message, self.show_error
            ),
            "file.export_report": lambda: export_report(
                self,
                document,
                self.show_message,
                self.show_error,
                alternatives=self.alternatives.alternatives,
            ),
            "file.quit": self.close,
            "edit.undo": document.undo.undo,
            "edit.redo": document.undo.redo,
            "edit.reset": self.panel.reset_all,
            "edit.rename_run": self._rename_run,
            "edit.remove_run": self.runs.table.remove_current,
            "edit.settings": lambda: show_settings(self, self._settings, self._on_setting),
            "run.compare": self._run,
            "run.pause": self._pause,
            "run.cancel": self.jobs.cancel,
            "run.plan": self._ask_plan,
            **{f"view.{key}": partial(self.show_page, key) for key, _, _ in PAGES},
            "view.scenario": lambda: _toggle(self._docks["left"]),
            "view.runs": lambda: _toggle(self._docks["right"]),
            "view.jobs": lambda: _toggle(self._docks["bottom"]),
            "view.theme": self._toggle_theme,
            "help.palette": self._show_palette,
            "help.lessons": self._show_lessons,
            "help.about": lambda: show_about(self),
        }

    def _lay_out(self) -> None:
        centre = QWidget()
        centre.setObjectName("centre")
        self._across = across = QHBoxLayout(centre)
        across.setSpacing(4)
        middle = QVBoxLayout()
        middle.setSpacing(GAP_PX)
        middle.addWidget(self.file_watch.bar)
        middle.addWidget(self.recovery.bar)
        middle.addWidget(self.first_run.bar)
        middle.addWidget(self.headline)
        middle.addWidget(self.alternatives)
        middle.addWidget(self._stack, 1)
        across.addLayout(middle, 1)
        self._unfold_button = QToolButton()
        self._unfold_button.setObjectName("hint")
        self._unfold_button.setText("‹")
        self._unfold_button.setAccessibleName("Show the runs")
        self._unfold_button.setToolTip(self.actions_by_key["view.runs"].toolTip())
        self._unfold_button.clicked.connect(self.actions_by_key["view.runs"].trigger)
        across.addWidget(self._unfold_button)
        self.setCentralWidget(centre)
        self.setMenuWidget(self.top_bar)
        self.statusBar().setSizeGripEnabled(False)
        self.statusBar().addWidget(self.bottom_bar, 1)
        self.statusBar().setContentsMargins(0, 0, 0, 0)
        self._docks = {
            "left": self._dock("left", "Scenario", self.panel, (GAP_PX, GAP_PX, 0, GAP_PX)),
            "right": self._dock("right", "Runs", self.runs, (0, GAP_PX, GAP_PX, GAP_PX)),
            "lessons": self._dock("lessons", "Lessons", self.lessons, (0, GAP_PX, GAP_PX, GAP_PX)),
            "bottom": self._dock("bottom", "Jobs", self.jobs_panel, (0, 0, 0, GAP_PX)),
        }
        self.setCorner(Qt.Corner.BottomLeftCorner, _SIDES["left"])
        self.setCorner(Qt.Corner.BottomRightCorner, _SIDES["right"])
        self.resizeDocks([self._docks["right"]], [RUNS_PX], Qt.Orientation.Horizontal)
        self.resizeDocks([self._docks["bottom"]], [JOBS_PX], Qt.Orientation.Vertical)
        for side in ("left", "right", "lessons"):
            self._docks[side].visibilityChanged.connect(self._set_margins)
        self._docks["lessons"].hide()
        self._docks["bottom"].hide()
        self._set_margins()
        self._is_folded_by_width, self._shows_runs_when_wide = False, True

    def _set_margins(self, _visible: object = None) -> None:
        """Leave a margin where no dock stands beside the pages, and show the button that brings the runs back."""
        hidden_sides = {side for side, dock in self._docks.items() if dock.isHidden()}
        left = GAP_PX if "left" in hidden_sides else 0
        right = GAP_PX if {"right", "lessons"} <= hidden_sides else 0
        self._across.setContentsMargins(left, GAP_PX, 0, GAP_PX)
        layout = self._docks["bottom"].widget().layout()
        assert layout is not None
        layout.setContentsMargins(left, 0, right, GAP_PX)
        self._unfold_button.setVisible("right" in hidden_sides)

    def _dock(
        self, side: str, name: str, inside: QWidget, margins: tuple[int, int, int, int]
    ) -> QDockWidget:
        """Return a dock without a title bar: its content has a heading."""
        dock = QDockWidget(name, self)
        dock.setObjectName(f"dock-{side}")
        dock.setFeatures(QDockWidget.DockWidgetFeature.DockWidgetClosable)
        dock.setTitleBarWidget(QWidget())
        holder = QWidget()
        holder.setObjectName("centre")
        layout = QVBoxLayout(holder)
        layout.setContentsMargins(*margins)
        layout.addWidget(inside)
        dock.setWidget(holder)
        self.addDockWidget(_SIDES[side], dock)
        return dock

    def _fill_menu(self) -> None:
        def add_recent(menu: QMenu) -> None:
            recent = menu.addMenu("Recent")
            recent.setToolTipsVisible(True)  # files with the same name differ in their folders
            recent.aboutToShow.connect(lambda: self.filing.fill_recent(recent))

        menu = self.top_bar.menu_button.menu()
        self.actions_by_key.fill(menu, {"file.import": add_recent})

    def _connect(self) -> None:
        document, jobs, stack = self.document, self.jobs, self.document.undo
        document.opened.connect(self._show_document)
        document.opened.connect(self.recovery.offer)
        document.edited.connect(self._on_edited)
        for signal in (document.compared, document.selected, document.listed):
            signal.connect(self._show_document)
        document.refused.connect(self.show_error)
        self.recovery.failed.connect(self.show_error)
        self.file_watch.reported.connect(self.show_message)
        self.file_watch.failed.connect(self.show_error)
        self.filing.unseen_change.connect(self.file_watch.ask_again)
        self.lessons.unlocked.connect(self.panel.lock)
        self.lessons.reported.connect(self.show_message)
        self.lessons.failed.connect(self.show_error)
        self.filing.reported.connect(self.show_message)
        self.filing.failed.connect(self.show_error)
        self.panel.typing.connect(lambda: self.actions_by_key["file.save"].setEnabled(True))
        jobs.started.connect(self._show_document)
        jobs.ended.connect(self._show_document)
        jobs.failed.connect(self.show_error)
        jobs.warned.connect(self.show_error)
        stack.canUndoChanged.connect(self._show_undo)
        stack.indexChanged.connect(self._show_undo)
        self.top_bar.pages.picked.connect(self.show_page)

    # Display

    def page(self, key: str) -> Page:
        """Return a page; make the page at the first call."""
        if key not in self.pages:
            module = import_module(f"studio.gui.pages.{key}")
            page: Page = getattr(module, _PAGE_CLASSES[key])(self.document, self.jobs, self._theme)
            self.pages[key] = page
            self._stack.addWidget(page)
            self.actions_by_key.add_for_page(page, page.page_actions())
            page.page_requested.connect(self.show_page)
            page.reported.connect(self.show_message)
        return self.pages[key]

    def make_pages_ahead(self) -> None:
        """Make the pages that were not opened yet, one at a time while the window is idle."""
        missing = [key for key, _, _ in PAGES if key not in self.pages]
        if missing and self.isVisible():
            self.page(missing[0])
            QTimer.singleShot(PAGE_INTERVAL_MS, self, self.make_pages_ahead)

    @property
    def shown_page(self) -> str:
        """The key of the visible page."""
        return next(key for key, page in self.pages.items() if page is self._stack.currentWidget())

    def show_page(self, key: str) -> None:
        """Show a page."""
        page = self.page(key)
        self._stack.setCurrentWidget(page)
        self.top_bar.pages.select(key)
        page.on_shown()
        page.setFocus()

    def _on_edited(self) -> None:
        self._show_document()
        self.jobs.follow_edit(simulates=self._settings.simulates_at_once)

    def _show_document(self) -> None:
        document, actions = self.document, self.actions_by_key
        self.setWindowTitle(f"{document.scenario.name}[*] – Rollcast")
        self.setWindowModified(document.is_changed)
        actions["file.save"].setEnabled(document.is_changed)
        actions["edit.reset"].setEnabled(document.is_changed)
        run = document.current_run
        for key in ("edit.rename_run", "edit.remove_run"):
            actions[key].setEnabled(run is not None)
        for key in ("file.export_charts", "file.export_data", "file.export_report"):
            actions[key].setEnabled(document.comparison is not None)
        running = self.jobs.is_running
        actions["run.cancel"].setEnabled(running)
        actions["run.pause"].setEnabled(running)
        is_plan, tip = plan_state(document, self.jobs)
        actions["run.plan"].setEnabled(is_plan)
        actions["run.plan"].setToolTip(tip)
        self._show_undo()

    def _show_undo(self, _changed: object = None) -> None:
        stack = self.document.undo
        if not isValid(stack):  # the stack still sends its signals while it is deleted
            return
        for key, is_possible, words in (
            ("edit.undo", stack.canUndo(), stack.undoText()),
            ("edit.redo", stack.canRedo(), stack.redoText()),
        ):
            action = self.actions_by_key[key]
            action.setEnabled(is_possible)
            name = key.partition(".")[2].capitalize()
            action.setText(f"{name} {words}" if is_possible and words else name)

    def show_message(self, words: str) -> None:
        """Show a message in the bottom bar for a while."""
        self.bottom_bar.show_message(words)

    def show_error(self, words: str) -> None:
        """Show what is wrong, until the user does something else."""
        self.bottom_bar.show_error(words)

    @property
    def status_text(self) -> str:
        """The message in the bottom bar."""
        return self.bottom_bar.status_text

    def set_theme(self, name: str) -> None:
        """Show everything in the light or the dark theme."""
        self._theme = DARK if name == DARK.name else LIGHT
        application = QApplication.instance()
        if isinstance(application, QApplication):
            apply_theme(application, self._theme)
        self.headline.set_theme(self._theme)
        self.alternatives.set_theme(self._theme)
        self.runs.table.set_theme(self._theme)
        for page in self.pages.values():
            page.set_theme(self._theme)

    def changeEvent(self, event: QEvent) -> None:
        """Check the file when the window is activated: network drives report no changes."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ActivationChange and self.isActiveWindow():
            self.file_watch.check_soon()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fold the list of runs away in a narrow window, and show it again in a wide one."""
        super().resizeEvent(event)
        is_narrow, runs = event.size().width() < FOLDS_BELOW_PX, self._docks["right"]
        if is_narrow != self._is_folded_by_width:
            if is_narrow:
                self._shows_runs_when_wide = not runs.isHidden()
            self._is_folded_by_width = is_narrow
            is_free = self._docks["lessons"].isHidden()
            runs.setVisible(not is_narrow and self._shows_runs_when_wide and is_free)

    # Actions of the user

    def _run(self) -> None:
        self.bottom_bar.clear()
        self.panel.commit_typed()
        self.jobs.start()

    def _pause(self) -> None:
        study = self.jobs.study
        if study is not None:
            study.pause(study.state is JobState.RUNNING)

    def _ask_plan(self) -> None:
        self.panel.commit_typed()
        # text that was just typed may have made the results stale
        if self.actions_by_key["run.plan"].isEnabled():
            self.filing.ask_plan()

    def _rename_run(self) -> None:
        self._docks["right"].show()
        self.runs.table.rename_current()

    def _toggle_theme(self) -> None:
        self.set_theme(LIGHT.name if self._theme is DARK else DARK.name)
        self._settings.theme = self._theme

    def _on_setting(self, key: str) -> None:
        if key == "theme":
            self.set_theme(self._settings.theme.name)

    def _show_palette(self) -> None:
        page = self._stack.currentWidget()
        actions = [action for action in self.actions_by_key if action.parent() in (self, page)]
        CommandPalette(self, actions).open()

    def _export_charts(self) -> None:
        key = self.shown_page
        name = f"{self.document.scenario.name}-{key.replace('_', '-')}"
        export_charts(self, name, self.pages[key].figures(), self.show_message, self.show_error)

    def show_start(self) -> None:
        """Show the ways to begin in a dialog."""
        cards, filing = StartCards(), self.filing
        dialog = show_inside(self, "Ways to begin", cards)
        for signal, then in (
            (cards.open_example, self.actions_by_key["file.example"].trigger),
            (cards.new, filing.ask_new),
            (cards.import_, filing.ask_import),
            (cards.lessons, self._show_lessons),
        ):
            signal.connect(dialog.close)
            signal.connect(then)
        cards.scenario.connect(dialog.close)
        cards.scenario.connect(filing.ask_shipped)

    def _show_lessons(self) -> None:
        """Show the lessons in place of the runs, or the runs again."""
        lessons, runs = self._docks["lessons"], self._docks["right"]
        is_visible = lessons.isVisible()
        lessons.setVisible(not is_visible)
        if not is_visible:
            runs.hide()
        else:
            self._shows_runs_when_wide = True
            runs.setVisible(not self._is_folded_by_width)

    def closeEvent(self, event: QCloseEvent) -> None:
        self.panel.commit_typed()
        if not self.property("leaving"):
            for page in self.pages.values():
                warning = page.closing_warning()
                if warning is not None:
                    event.ignore()
                    ask_to_halt(self, warning, partial(page.halt_then, self.close))
                    return
            if self.document.is_changed:
                event.ignore()
                self.filing.ask_about_changes_then(self._leave)
                return
        self._settings.geometry = self.saveGeometry()
        self.leave()
        self.recovery.clear()
        super().closeEvent(event)

    def leave(self) -> None:
        """End everything that the pages have started, and every job."""
        for page in self.pages.values():
            page.leave()
        self.jobs.close()

    def _leave(self) -> None:
        self.setProperty("leaving", True)
        self.close()


def _toggle(dock: QDockWidget) -> None:
    """Show a hidden dock, or hide it."""
    dock.setVisible(not dock.isVisible())
