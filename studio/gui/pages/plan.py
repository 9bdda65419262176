"""The page *Plan*: the waves as a graph, the checks, and the file that is exported.

The plan is that of the selected run, or an outline of the edited scenario. The export is possible
once every check holds. The document is not changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from executor.base.errors import Refused, RollcastError
from executor.base.files import atomic_write_text
from executor.exports.base import Exported, ExportTarget, file_name
from executor.exports.targets import TARGETS
from studio.gui.document.document import Document
from studio.gui.pages.base import Page
from studio.gui.pages.plan_draft import Drafts, PlanDraft
from studio.gui.painted.graph import GraphView
from studio.gui.widgets.dialogs import ask_for_file
from studio.gui.widgets.elided import ElidedLabel
from studio.gui.widgets.lines import LineList
from studio.gui.widgets.log import PlainText, mono_font
from studio.gui.widgets.looks import look_as
from studio.gui.widgets.segmented import Segmented
from studio.views.candidate.endings import stops_text
from studio.views.figures_text import Line, duration_text, services_text
from studio.views.graph import Drawing, release_drawing, typical_run, waves_drawing
from studio.views.plan_text import plan_command, rules_in_words, waves_in_words
from studio.views.sentences import source_text
from studio.views.theme import GAP_PX, Theme

if TYPE_CHECKING:
    from studio.gui.background.jobs import Jobs
    from studio.gui.toolkit.actions import PageAction

_KEYS_HELP = "Arrow keys move from box to box, + and − zoom, 0 fits"


class PlanPage(Page):
    """A page that shows the draft of the document's plan, and exports it."""

    def __init__(self, document: Document, jobs: Jobs, theme: Theme) -> None:
        super().__init__(document, jobs, theme)
        self._drafts = Drafts(document)
        self._exported: Exported | None = None
        self.graph = GraphView("Graph of the rollout", theme)
        self.text_list = LineList("The plan in words")
        self.export = _ExportCard()
        self._lay_out()
        self.graph.picked.connect(lambda _key: self._show_about())
        self.export.target.currentIndexChanged.connect(lambda _index: self._show_export())
        self.export.copy.clicked.connect(self._copy)
        self.export.write.clicked.connect(self.ask_export)
        for signal in (jobs.started, jobs.ended):
            signal.connect(self.follow)

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(GAP_PX)
        self._heading, self._critical = ElidedLabel(name="Graph"), ElidedLabel(name="Critical path")
        self._heading.setObjectName("heading")
        self._about = ElidedLabel(_KEYS_HELP, "Selected box")
        self._about.setObjectName("soft")
        self._critical.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._kind = Segmented(
            "Graph",
            [
                ("waves", "Waves", "The instances in the order of the rollout"),
                ("release", "Release", "The services in the order in which they are released"),
            ],
        )
        self._kind.select("waves")
        self._kind.picked.connect(lambda _key: self._show_graph())
        top = QHBoxLayout()
        top.addWidget(self._heading)
        top.addWidget(self._critical, 1)
        top.addWidget(self._kind)
        upper = _card()
        inside = upper.layout()
        assert isinstance(inside, QVBoxLayout)
        inside.addLayout(top)
        inside.addWidget(self.graph, 1)
        inside.addWidget(self._about)
        lower = _card()
        lower_inside = lower.layout()
        assert isinstance(lower_inside, QVBoxLayout)
        lower_inside.setContentsMargins(8, 8, 4, 8)
        lower_inside.addWidget(self.text_list)
        grid.addWidget(upper, 0, 0, 1, 2)
        grid.addWidget(lower, 1, 0)
        grid.addWidget(self.export, 1, 1)
        for row, stretch in enumerate((5, 6)):
            grid.setRowStretch(row, stretch)
        for column in (0, 1):
            grid.setColumnStretch(column, 1)

    # Display

    @property
    def draft(self) -> PlanDraft:
        """The draft that is shown."""
        return self._drafts.current()

    def show_document(self) -> None:
        """Show the plan of the selected run."""
        has_several_services = len(self.draft.scenario.rolled_services()) > 1
        self._kind.setVisible(has_several_services and self.draft.plan is not None)
        self._show_graph()
        self.text_list.show_lines(_lines(self.draft), self.theme)
        self._show_export()

    def _show_graph(self) -> None:
        draft = self.draft
        wants_release = self.draft.plan is None or (
            self._kind.isVisibleTo(self) and self._kind.selected_key == "release"
        )
        drawing: Drawing | None = None
        if draft.scenario.rollout is None:
            heading = "The scenario has no rollout"
        elif wants_release:
            runs = () if draft.run is None else draft.run.result.runs
            drawing = release_drawing(draft.scenario, typical_run(runs))
            heading = f"Release of {services_text(len(drawing.nodes))}"
        else:
            assert draft.plan is not None
            drawing = waves_drawing(draft.plan, draft.outages())
            count = len(draft.plan.waves)
            heading = "One wave" if count == 1 else f"{count} waves"
            heading += f", window {draft.plan.window}"
        self.graph.show_drawing(drawing, self.theme)
        self._heading.setText(heading)
        self._critical.setText(self._critical_path_text(drawing))
        self._critical.setStyleSheet(f"color: {self.theme.accent};")
        self._show_about()

    def _critical_path_text(self, drawing: Drawing | None) -> str:
        """Return the critical path as text; without a simulation, the estimated duration."""
        if drawing is not None and drawing.critical:
            return f"━ critical path: {drawing.critical}"
        if self.draft.run is None:
            estimate = self.document.estimate
            if estimate is not None and estimate.rollout_duration_s is not None:
                about = duration_text(estimate.rollout_duration_s.value)
                return f"≈ {about} by {source_text(estimate)}"
            return ""
        stops = stops_text([self.draft.run.result])
        return f"the rollout {stops}" if stops else "no critical path is known"

    def _show_about(self) -> None:
        node = self.graph.current
        self._about.setText(_KEYS_HELP if node is None else node.about)

    def _show_export(self) -> None:
        target, draft = self.export.selected_target, self.draft
        self._exported, refusal = None, draft.refusal_text
        if draft.plan is not None:
            try:
                self._exported = target.render(draft.plan)
            except Refused as refused:
                refusal = refusal or str(refused)
                self.export.show_refusal(str(refused), self.theme)
            else:
                self.export.show_exported(self._exported, self.theme)
        else:
            self.export.show_refusal(draft.refusal_text, self.theme)
        self._show_command(target)
        self.export.show_refusal_text(refusal)

    def _show_command(self, target: ExportTarget) -> None:
        """Show the command line that does the same, or why there is none."""
        draft = self.draft
        if draft.plan is None:
            self.export.show_command("")
        elif target is not TARGETS[0]:
            plan_file = file_name(draft.plan, TARGETS[0])
            self.export.show_command(f"rollcast export {plan_file} --to {target.name}")
        else:
            saved = self.document.saved
            path = saved.path or Path(f"{draft.scenario.name}.yaml")
            file = f"{draft.scenario.name}.plan.json"
            command = plan_command(path.name, saved.scenario, draft.scenario, file)
            if command:
                note = "The command also confirms the plan with a fresh seed."
                self.export.show_command(command, note)
            else:
                self.export.show_no_command(
                    "Save the scenario first: the command line has no options for these edits"
                )

    # Actions of the user

    def page_actions(self) -> list[PageAction]:
        """Return the page's actions: export, copy the command line, fit the graph."""
        return [
            ("plan.export", "Export the plan…", "Ctrl+Return", self.ask_export),
            ("plan.copy", "Copy the command line", "Ctrl+Alt+C", self._copy),
            ("plan.fit", "Fit the graph", "Ctrl+0", self.graph.fit),
        ]

    def ask_export(self) -> None:
        """Ask for the file to export to."""
        draft, target = self.draft, self.export.selected_target
        if self.export.write.isEnabled() and draft.plan is not None:
            kinds = f"{target.title} (*{Path(target.suffix).suffix})"
            name = file_name(draft.plan, target)
            ask_for_file(self, f"Export for {target.name}", kinds, self.write, name)

    def write(self, path: Path) -> bool:
        """Write the file and return whether that worked; report why when it did not."""
        if self._exported is None or not self.export.write.isEnabled():
            return False
        try:
            atomic_write_text(path, self._exported.text, mode=0o600)
        except RollcastError as error:
            self.reported.emit(f"✗ {error}")
            return False
        self.reported.emit(f"✓ {path} is written")
        return True

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.export.command.text())
        self.reported.emit("✓ The command line is copied")


class _ExportCard(QFrame):
    """A card to export a plan: target, preview, what the target cannot express, command line, button."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self.target = QComboBox()
        self.target.setAccessibleName("Export for")
        self.target.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.target.setMinimumContentsLength(10)
        for target in TARGETS:
            self.target.addItem(target.title, target.name)
            self.target.setItemData(
                self.target.count() - 1, target.about, Qt.ItemDataRole.ToolTipRole
            )
        self.view_switch = Segmented(
            "Export", [("file", "File", "Content of the file"), ("lost", "Lost", "")]
        )
        self.view_switch.select("file")
        self.preview = PlainText("Content of the file", wraps=False)
        self.lost = LineList("What the target cannot express")
        self._stack = QStackedWidget()
        self._stack.addWidget(self.preview)
        self._stack.addWidget(self.lost)
        self.view_switch.picked.connect(lambda key: self._stack.setCurrentIndex(key == "lost"))
        self.command = QLineEdit()
        self.command.setReadOnly(True)
        self.command.setFont(mono_font())
        self.command.setAccessibleName("The same on the command line")
        self.copy = QPushButton("Copy")
        self.copy.setAccessibleName("Copy the command line")
        self.write = QPushButton("Export…")
        self.reason = ElidedLabel(name="Export")
        self._lay_out()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 10, 10, 10)
        layout.setSpacing(6)
        layout.addLayout(_row(self.target, self.view_switch))
        layout.addWidget(self._stack, 1)
        layout.addLayout(_row(self.command, self.copy))
        layout.addLayout(_row(self.reason, self.write))

    @property
    def selected_target(self) -> ExportTarget:
        """The selected target."""
        return TARGETS[self.target.currentIndex()]

    def show_exported(self, exported: Exported, theme: Theme) -> None:
        """Show the file's text, and what the target cannot express."""
        self.preview.wrap(False)
        self._show_text(exported.text, theme)
        lost = [f"– {line}" for line in exported.lost] or ["✓ nothing is lost"]
        self.lost.show_lines([("" if exported.lost else "good", line) for line in lost], theme)
        self._show_lost_count(len(exported.lost))

    def show_refusal(self, refusal: str, theme: Theme) -> None:
        """Show why there is no file."""
        self.preview.wrap(True)
        self._show_text(f"✗ {refusal}" if refusal else "", theme)
        self.lost.show_lines([("bad", f"✗ {refusal}")] if refusal else [], theme)
        self._show_lost_count(0)

    def _show_text(self, text: str, theme: Theme) -> None:
        self.preview.show_theme(theme)
        self.preview.show_text(text)

    def _show_lost_count(self, count: int) -> None:
        button = self.view_switch.button("lost")
        button.setText(f"Lost ({count})" if count else "Lost")
        button.setAccessibleName(f"Export: parts that the target cannot express, {count}")
        button.setToolTip("Parts of the plan that the tool does not support")

    def show_command(self, command: str, note: str = "") -> None:
        """Show a command line from its beginning, with a note in the tooltip."""
        self._show_command_text(command, f"{command}\n{note}".rstrip())
        self.copy.setEnabled(bool(command))

    def show_no_command(self, reason: str) -> None:
        """Show why there is no command line."""
        self._show_command_text(reason, reason)
        self.copy.setEnabled(False)

    def _show_command_text(self, text: str, tip: str) -> None:
        self.command.setText(text)
        self.command.setCursorPosition(0)
        self.command.setToolTip(tip)

    def show_refusal_text(self, refusal: str) -> None:
        """Show whether the plan can be exported, and why not."""
        self.write.setEnabled(not refusal)
        self.write.setToolTip(f"Not yet: {refusal}" if refusal else "Write the file (Ctrl+Return)")
        self.write.setAccessibleDescription(refusal)
        self.reason.setText(f"✗ {refusal}" if refusal else "✓ every check holds")
        look_as(self.reason, "bad" if refusal else "good")
        look_as(self.write, "" if refusal else "primary")


def _lines(draft: PlanDraft) -> list[Line]:
    """Return the plan as lines: failed checks, waves, rules, checks that hold."""
    if draft.plan is None:
        return [("heading", "No plan"), ("bad", f"✗ {draft.refusal_text}"), *_release_lines(draft)]
    lines: list[Line] = []
    held = [promise for promise, broken in draft.checks if not broken]
    if len(held) < len(draft.checks):
        lines.append(("heading", "Checks that fail"))
    for promise, broken in draft.checks:
        if broken:
            lines += [("bad", f"✗ {promise}"), *(("bad", f"     {text}") for text in broken)]
    lines += [("heading", "Waves and gates"), *(("", text) for text in waves_in_words(draft.plan))]
    lines += [("heading", "Rules and guards"), *(("", text) for text in rules_in_words(draft.plan))]
    return [*lines, ("heading", "Checks that hold"), *(("good", f"✓ {text}") for text in held)]


def _release_lines(draft: PlanDraft) -> list[Line]:
    order = draft.scenario.release_order() if draft.scenario.rollout is not None else {}
    if len(order) < 2:
        return []
    return [
        ("heading", "Release"),
        *(
            ("", f"{name} after {', '.join(firsts)}" if firsts else f"{name} at once")
            for name, firsts in order.items()
        ),
    ]


def _card() -> QFrame:
    card = QFrame()
    card.setObjectName("card")
    layout = QVBoxLayout(card)
    layout.setContentsMargins(12, 8, 12, 8)
    layout.setSpacing(4)
    return card


def _row(wide: QWidget, *narrow: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(6)
    row.addWidget(wide, 1)
    for widget in narrow:
        row.addWidget(widget)
    return row
