"""Every action of the studio, declared once.

The menu, the shortcuts, the palette of Ctrl+K and the table in `docs/studio.md` come from this
table (a test compares them). The window says what each action does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QWidget


@dataclass(frozen=True)
class ActionSpec:
    """An action that the user can call.

    Attributes:
        key: The identifier, such as ``file.open``.
        words: The name.
        shortcuts: The shortcuts; the first one is shown.
        menu: The part of the menu.
        tip: What the action does, in a sentence.
    """

    key: str
    words: str
    shortcuts: tuple[str, ...]
    menu: str
    tip: str


PAGES = (
    ("replay", "Replay", "Watch one rollout happen"),
    ("compare", "Compare", "Two to four runs side by side"),
    ("trade_off", "Trade-off", "Duration against what it risks"),
    ("timing", "Timing", "When to roll, and how wide"),
    ("plan", "Plan", "The rollout as a plan, checked and exported"),
    ("execute", "Execute", "Carry the plan out: dry, in the lab, or for real"),
)
"""The pages in their order: key, name, description."""

ACTIONS: tuple[ActionSpec, ...] = (
    ActionSpec("file.new", "New…", ("Ctrl+N",), "File", "Write a first scenario of a few lines"),
    ActionSpec("file.open", "Open…", ("Ctrl+O",), "File", "Open a scenario"),
    ActionSpec("file.start", "Ways to begin…", ("Ctrl+Shift+N",), "File",
               "The example, something new, an import, a lesson, or a shipped situation"),
    ActionSpec("file.example", "Open the example", ("Ctrl+Shift+O",), "File",
               "Open a copy of the shipped example with 24 instances"),
    ActionSpec("file.import", "Import…", ("Ctrl+I",), "File",
               "Make a scenario from logs, metrics or manifests"),
    ActionSpec("file.save", "Save", ("Ctrl+S",), "File", "Write the scenario; comments stay"),
    ActionSpec("file.save_as", "Save as…", ("Ctrl+Shift+S",), "File", "Write the scenario to another file"),
    ActionSpec("file.export_charts", "Export charts…", ("Ctrl+Shift+C",), "File",
               "Write the charts of this page as PNG, SVG or PDF"),
    ActionSpec("file.export_data", "Export data…", ("Ctrl+Shift+D",), "File",
               "Write what was simulated as CSV or Parquet"),
    ActionSpec("file.export_report", "Export report…", ("Ctrl+Shift+R",), "File",
               "Write the comparison as one HTML file that needs no other"),
    ActionSpec("file.quit", "Quit", ("Ctrl+Q",), "File", "Close the studio"),
    ActionSpec("edit.undo", "Undo", ("Ctrl+Z",), "Edit", "Take back the last change"),
    ActionSpec("edit.redo", "Redo", ("Ctrl+Shift+Z", "Ctrl+Y"), "Edit", "Make the change again"),
    ActionSpec("edit.reset", "Reset all values", ("Ctrl+Shift+Backspace",), "Edit",
               "Set every field back to the value in the saved file"),
    ActionSpec("edit.rename_run", "Rename run", ("F2",), "Edit",
               "Give the selected run another name"),
    ActionSpec("edit.remove_run", "Remove run", ("Ctrl+Del",), "Edit",
               "Remove the selected run from the list"),
    ActionSpec("edit.settings", "Settings…", ("Ctrl+,",), "Edit", "Change the settings of the studio"),
    ActionSpec("run.compare", "Run comparison", ("F5",), "Run", "Simulate all candidates again"),
    ActionSpec("run.pause", "Pause or resume", ("Shift+F5",), "Run", "Pause the comparison, or resume it"),
    ActionSpec("run.cancel", "Cancel", ("Esc",), "Run",
               "End the comparison; results so far are kept"),
    ActionSpec("run.plan", "Write plan…", ("Ctrl+E",), "Run",
               "Write a validated plan for the executor"),
    *(
        ActionSpec(f"view.{key}", words, (f"Ctrl+{number}",), "View", tip)
        for number, (key, words, tip) in enumerate(PAGES, 1)
    ),
    ActionSpec("view.scenario", "Scenario panel", ("F6",), "View", "Show or fold the fields"),
    ActionSpec("view.runs", "Runs", ("F7",), "View", "Show or fold the list of runs"),
    ActionSpec("view.jobs", "Jobs", ("F8",), "View", "Show or fold the list of jobs"),
    ActionSpec("view.theme", "Dark or light", ("Ctrl+T",), "View", "Change the theme"),
    ActionSpec("help.palette", "Every action…", ("Ctrl+K",), "Help", "Find an action by its name"),
    ActionSpec("help.lessons", "Lessons", ("F1",), "Help", "Learn what decides a rollout, in steps"),
    ActionSpec("help.about", "About Rollcast", ("Shift+F1",), "Help",
               "Versions, licence, and where the studio keeps its files"),
)  # fmt: skip
"""All actions, in the order of the menu."""

MENUS = ("File", "Edit", "Run", "View", "Help")

PageAction = tuple[str, str, str, Callable[[], None]]
"""An action of a page: key, name, shortcut, slot."""


class Actions:
    """The actions of a window.

    Attributes:
        by_key: The actions by their identifier, such as ``file.open``, those of pages included.
    """

    def __init__(self, window: QWidget, slots: Mapping[str, Callable[[], object]]) -> None:
        """Make the actions; ``slots`` says what each does."""
        self.by_key: dict[str, QAction] = {}
        for spec in ACTIONS:
            action = QAction(spec.words, window)
            action.setObjectName(spec.key)
            action.setShortcuts([QKeySequence(keys) for keys in spec.shortcuts])
            action.setStatusTip(spec.tip)
            action.setToolTip(f"{spec.tip} ({spec.shortcuts[0]})")
            slot = slots[spec.key]
            action.triggered.connect(lambda _checked=False, slot=slot: slot())
            window.addAction(action)
            self.by_key[spec.key] = action

    def __getitem__(self, key: str) -> QAction:
        return self.by_key[key]

    def __iter__(self) -> Iterator[QAction]:
        return iter(self.by_key.values())

    def add_for_page(self, page: QWidget, page_actions: list[PageAction]) -> None:
        """Add the actions of a page; their shortcuts work while the focus is in the page."""
        for key, words, keys, slot in page_actions:
            action = QAction(words, page)
            action.setObjectName(key)
            action.setShortcut(QKeySequence(keys))
            action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            action.setToolTip(f"{words} ({keys})" if keys else words)
            action.triggered.connect(lambda _checked=False, slot=slot: slot())
            page.addAction(action)
            self.by_key[key] = action

    def fill(self, menu: QMenu, extra: Mapping[str, Callable[[QMenu], None]]) -> None:
        """Fill a menu with all actions, a submenu per part.

        Args:
            menu: The menu.
            extra: Adds further entries after an action, by its key.
        """
        for name in MENUS:
            part = menu.addMenu(name)
            for spec in ACTIONS:
                if spec.menu != name:
                    continue
                part.addAction(self.by_key[spec.key])
                if spec.key in extra:
                    extra[spec.key](part)


def action_text(action: QAction) -> str:
    """Return an action's name in the palette, with the part of the menu."""
    part = action.objectName().partition(".")[0].replace("_", "-")
    return f"{part.capitalize()}: {action.text()}"
