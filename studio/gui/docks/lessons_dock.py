"""A lesson, in a panel: what is to be done, whether it is done, and in the end a page to hand in.

Enters: a document, which the lesson opens its scenario in. Leaves: what may be moved meanwhile, and
the page. How far somebody is decides `studio.lessons.model`; nothing here passes a step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from executor.base.errors import RollcastError
from executor.base.files import atomic_write_text
from simulation.scenario.file import ScenarioFile
from studio.gui.background.jobs import Jobs
from studio.gui.document.commands import edit_values
from studio.gui.document.document import Document
from studio.gui.widgets.answer import AnswerButton
from studio.gui.widgets.choice_card import ChoiceCard
from studio.gui.widgets.dialogs import ask_for_file
from studio.gui.widgets.segmented import Segmented
from studio.lessons.catalogue import LESSONS, scenario_path
from studio.lessons.model import (
    Lesson,
    LessonProgress,
    LessonStep,
    LessonView,
    LookedAt,
    Switch,
    advance,
)

PANEL_PX = 300
_WRITING_PX = 96


class LessonPanel(QFrame):
    """The list of lessons, or the one that is taken."""

    unlocked = Signal(object)
    """The fields that may be moved, a frozenset of keys; None for all of them."""
    reported = Signal(str)
    """Something was done."""
    failed = Signal(str)
    """Something could not be done; in words."""

    def __init__(
        self,
        document: Document,
        jobs: Jobs,
        ask_about_changes_then: Callable[[Callable[[], object]], object] = lambda then: then(),
    ) -> None:
        """Makes the panel.

        Args:
            document: What a lesson opens its scenario in.
            jobs: What simulates it.
            ask_about_changes_then: Does something once it is said what becomes of changes.
        """
        super().__init__()
        self.setObjectName("panel")
        self.setAccessibleName("Lessons")
        self.setMinimumWidth(PANEL_PX)
        self._document, self._jobs = document, jobs
        self._ask_about_changes_then = ask_about_changes_then
        self._progress: LessonProgress | None = None
        self._given: ScenarioFile | None = None
        self._how_far: QLabel | None = None
        self._current: QWidget | None = None
        self._write_on: QPlainTextEdit | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 8, 4, 8)
        self._scroll = QScrollArea()
        self._scroll.setAccessibleName("Lesson")
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout.addWidget(self._scroll)
        self._scroll.verticalScrollBar().rangeChanged.connect(self._show_current)
        for signal in (document.edited, document.compared, document.selected):
            signal.connect(self._look)
        document.opened.connect(self._on_opened)
        self._build()

    @property
    def progress(self) -> LessonProgress | None:
        """How far the lesson is that is taken; None while none is."""
        return self._progress

    def ask_begin(self, lesson: Lesson) -> None:
        """Begins a lesson, once it is said what becomes of changes."""
        self._ask_about_changes_then(lambda: self.begin(lesson))

    def begin(self, lesson: Lesson) -> None:
        """Opens a lesson's scenario and shows its first step; nothing is simulated yet."""
        # Without its path: neither results nor a save go where the program is installed.
        self._given = ScenarioFile.parse(scenario_path(lesson).read_text(encoding="utf-8"))
        self._progress = LessonProgress(lesson)
        self._document.open(self._given)
        self._jobs.cancel()  # first it is predicted
        self._build()

    def leave(self) -> None:
        """Back to the list; every field may be moved again."""
        self._progress = self._given = None
        self._build()

    # How far it is

    def _look(self) -> None:
        """Passes what is reached; a new step is built, else only how far it is, so that focus stays."""
        if self._progress is None:
            return
        before, self._progress = self._progress, advance(self._progress, self._seen)
        if len(before.passed) != len(self._progress.passed):
            self._build()
        else:
            self._show_how_far()

    def _seen(self, progress: LessonProgress) -> LessonView:
        document, own = self._document, None
        assert self._given is not None
        comparison = document.comparison
        if comparison is not None and not document.is_stale:
            window = document.scenario.window_count()
            own = next(
                (
                    one
                    for one in comparison.candidates
                    if one.candidate.window == window
                    and len(one.runs) == comparison.scenario.replications
                ),
                None,
            )
        return LessonView(
            given=self._given.scenario,
            scenario=document.scenario,
            estimate=document.estimate,
            own=own,
            looked_at=document.selected_result,
            answer=progress.answer,
            justification=progress.justification,
        )

    def _on_opened(self) -> None:
        if self._progress is not None and self._document.saved is not self._given:
            self.leave()

    # What it shows

    def _build(self) -> None:
        inside = QWidget()
        inside.setObjectName("fields")
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(10, 2, 8, 4)
        layout.setSpacing(8)
        self._how_far = self._write_on = self._current = None
        if self._progress is None:
            self._fill_list(layout)
            self.unlocked.emit(None)
        else:
            self._fill_lesson(layout, self._progress)
            step = self._progress.step
            self.unlocked.emit(None if step is None else step.unlocked)
        layout.addStretch(1)
        before = self._scroll.takeWidget()
        if before is not None:
            before.deleteLater()  # what was pressed in it is still telling so
        self._scroll.setWidget(inside)
        if self._write_on is not None:
            self._write_on.setFocus()
        self._show_how_far()

    def _fill_list(self, layout: QVBoxLayout) -> None:
        layout.addWidget(_text("Lessons", "group"))
        layout.addWidget(_text("Six steps each; a step is passed when it is done.", "soft"))
        for lesson in LESSONS:
            card = ChoiceCard(lesson.title, lesson.about)
            card.clicked.connect(lambda _checked=False, lesson=lesson: self.ask_begin(lesson))
            layout.addWidget(card)

    def _fill_lesson(self, layout: QVBoxLayout, progress: LessonProgress) -> None:
        head = QHBoxLayout()
        head.addWidget(_text(progress.lesson.title, "strong"), 1)
        out = QToolButton()
        out.setText("All lessons")
        out.setToolTip("Leave this one and choose another")
        out.clicked.connect(self.leave)
        head.addWidget(out)
        layout.addLayout(head)
        done, count = len(progress.passed), len(progress.lesson.steps)
        for record in progress.passed:
            words = record.step.after
            if record.step.right is not None:
                words = _about_prediction(progress, record.step)
            layout.addWidget(_passed(record.step.name, words))
        if progress.step is None:
            self._fill_end(layout, progress.justification)
            return
        card = QFrame()
        card.setObjectName("card")
        inside = QVBoxLayout(card)
        inside.setContentsMargins(10, 8, 10, 10)
        inside.setSpacing(6)
        inside.addWidget(_text(f"{done + 1} of {count} · {progress.step.name}", "soft"))
        inside.addWidget(_text(progress.step.task, "task"))
        self._fill_step(inside, progress.step)
        self._how_far = _text("", "soft")
        self._how_far.setAccessibleName("How far it is")
        inside.addWidget(self._how_far)
        layout.addWidget(card)
        self._current = card

    def _fill_step(self, layout: QVBoxLayout, step: LessonStep) -> None:
        if step.answers:
            group = QButtonGroup(layout)
            for place, words in enumerate(step.answers):
                answer = AnswerButton(words)
                group.addButton(answer.button, place)
                layout.addWidget(answer)
            group.idClicked.connect(self._on_answer)
        if isinstance(step.goal, LookedAt):
            self._fill_runs(layout)
        if step.switch is not None:
            self._fill_switch(layout, step.switch)
        if self._progress is not None and step is self._progress.lesson.steps[-1]:
            layout.addWidget(self._writing(self._progress.justification))

    def _fill_runs(self, layout: QVBoxLayout) -> None:
        """The runs there are: which is looked at can be said here as well as in their list."""
        comparison = self._document.comparison
        assert comparison is not None  # it was simulated before
        windows = [str(one.candidate.window) for one in comparison.candidates]
        runs = Segmented(
            "Window", [(window, window, f"Look at window {window}") for window in windows]
        )
        if self._document.selection is not None:
            runs.select(windows[self._document.selection])
        runs.picked.connect(lambda window: self._document.select(windows.index(window)))
        layout.addWidget(runs, 0, Qt.AlignmentFlag.AlignLeft)

    def _fill_switch(self, layout: QVBoxLayout, switch: Switch) -> None:
        layout.addWidget(_text(switch.words, "soft"))
        group = QButtonGroup(layout)
        now = self._document.scenario.as_data()
        for part in switch.key.split("."):
            now = now[part]
        for words, value in switch.choices.items():
            answer = AnswerButton(words)
            answer.button.setChecked(now == value)
            group.addButton(answer.button)
            layout.addWidget(answer)
            answer.button.clicked.connect(
                lambda _checked=False, value=value: edit_values(
                    self._document, switch.words.lower(), {switch.key: value}
                )
            )

    def _writing(self, text: str) -> QPlainTextEdit:
        """Where a choice is justified; it goes on where it was when the panel was built anew."""
        had_focus = any(one.hasFocus() for one in self.findChildren(QPlainTextEdit))
        made = QPlainTextEdit()
        made.setAccessibleName("Why")
        made.setPlaceholderText("Why this, and nothing else")
        made.setTabChangesFocus(True)
        made.setFixedHeight(_WRITING_PX)
        made.setPlainText(text)
        made.moveCursor(QTextCursor.MoveOperation.End)
        made.textChanged.connect(lambda: self._on_writing(made.toPlainText()))
        self._write_on = made if had_focus else None
        return made

    def _fill_end(self, layout: QVBoxLayout, justification: str) -> None:
        layout.addWidget(_text("✓ Done. Your page holds all that you have seen.", "task"))
        layout.addWidget(self._writing(justification))
        name = QLineEdit()
        name.setAccessibleName("Your name")
        name.setPlaceholderText("Your name")
        layout.addWidget(name)
        button = QPushButton("Write page to hand in…")
        button.setObjectName("primary")
        button.clicked.connect(lambda: self._ask_page(name.text()))
        layout.addWidget(button)
        self._current = button

    def _show_current(self) -> None:
        """What is to be done is in sight, however much was passed before it."""
        if self._current is not None:
            self._scroll.ensureWidgetVisible(self._current, 0, 4)

    def _show_how_far(self) -> None:
        if self._how_far is not None and self._progress is not None:
            step = self._progress.step
            words = "" if step is None else step.goal.said(self._seen(self._progress))
            self._how_far.setText(words)
            self._how_far.setVisible(bool(words))

    # What a person does

    def _on_answer(self, place: int) -> None:
        assert self._progress is not None
        self._progress = replace(self._progress, answer=place)
        self._look()

    def _on_writing(self, text: str) -> None:
        assert self._progress is not None
        self._progress = replace(self._progress, justification=text)
        self._look()

    def _ask_page(self, name: str) -> None:
        from studio.reports.lesson_report import page_name  # noqa: PLC0415 - with matplotlib

        assert self._progress is not None
        file = f"{page_name(self._progress.lesson, name)}.html"
        ask_for_file(
            self, "Write the page to", "Pages (*.html)", lambda path: self.write_page(path, name),
            file,
        )  # fmt: skip

    def write_page(self, path: Path, name: str) -> None:
        """Writes the page to hand in; says why when it cannot."""
        from studio.reports.lesson_report import hand_in  # noqa: PLC0415 - with matplotlib

        assert self._progress is not None
        assert self._given is not None
        page = hand_in(self._progress, self._given.scenario, self._given.text, name, date.today())
        try:
            atomic_write_text(path, page)
        except RollcastError as error:
            self.failed.emit(str(error))
        else:
            self.reported.emit(f"✓ Your page is in {path}")


def _text(words: str, look: str) -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setText(words)
    label.setObjectName(look)
    label.setWordWrap(True)
    return label


def _passed(name: str, words: str) -> QWidget:
    holder = QWidget()
    layout = QVBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(1)
    layout.addWidget(_text(f"✓ {name}", "passed"))
    if words:
        layout.addWidget(_text(words, "soft"))
    return holder


def _about_prediction(progress: LessonProgress, step: LessonStep) -> str:
    """What was predicted; whether it was right is said only once it was revealed."""
    assert progress.answer is not None
    assert step.right is not None
    told = f"You said: {step.answers[progress.answer].lower()}."
    is_revealed = any(record.step.name == "Reveal" for record in progress.passed)
    if not is_revealed:
        return told
    if progress.was_right:
        return f"{told} So it is."
    return f"{told} But: {step.answers[step.right].lower()}."
