"""The dock *Lessons*: the task of each step, whether it is done, and at the end a page to hand in.

A lesson opens its scenario in the document and locks the other fields. `studio.lessons.model`
decides whether a step is passed; this module does not.
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
    """The list of lessons, or the lesson that the user has begun."""

    unlocked = Signal(object)
    """The fields that may be edited have changed; the argument is a frozenset of keys, or None for all."""
    reported = Signal(str)
    """Something was done; the argument is a message."""
    failed = Signal(str)
    """Something failed; the argument is the reason."""

    def __init__(
        self,
        document: Document,
        jobs: Jobs,
        ask_about_changes_then: Callable[[Callable[[], object]], object] = lambda then: then(),
    ) -> None:
        """Make the panel.

        Args:
            document: The document in which a lesson opens its scenario.
            jobs: Simulates the scenario.
            ask_about_changes_then: Calls a function after asking about unsaved changes.
        """
        super().__init__()
        self.setObjectName("panel")
        self.setAccessibleName("Lessons")
        self.setMinimumWidth(PANEL_PX)
        self._document, self._jobs = document, jobs
        self._ask_about_changes_then = ask_about_changes_then
        self._progress: LessonProgress | None = None
        self._lesson_file: ScenarioFile | None = None
        self._progress_label: QLabel | None = None
        self._current_widget: QWidget | None = None
        self._text_to_focus: QPlainTextEdit | None = None
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
            signal.connect(self._check_progress)
        document.opened.connect(self._on_opened)
        self._build()

    @property
    def progress(self) -> LessonProgress | None:
        """The progress of the lesson; None when no lesson has begun."""
        return self._progress

    def ask_begin(self, lesson: Lesson) -> None:
        """Begin a lesson, after asking about unsaved changes."""
        self._ask_about_changes_then(lambda: self.begin(lesson))

    def begin(self, lesson: Lesson) -> None:
        """Open a lesson's scenario and show its first step; nothing is simulated yet."""
        # Without its path: neither results nor a save may go to the installed files.
        self._lesson_file = ScenarioFile.parse(scenario_path(lesson).read_text(encoding="utf-8"))
        self._progress = LessonProgress(lesson)
        self._document.open(self._lesson_file)
        self._jobs.cancel()  # the user predicts before anything is simulated
        self._build()

    def leave(self) -> None:
        """Show the list of lessons again, and unlock every field."""
        self._progress = self._lesson_file = None
        self._build()

    # Progress

    def _check_progress(self) -> None:
        """Pass the steps whose goal is reached. Rebuild the panel only for a new step, so that the focus stays."""
        if self._progress is None:
            return
        before, self._progress = self._progress, advance(self._progress, self._make_view)
        if len(before.passed) != len(self._progress.passed):
            self._build()
        else:
            self._show_progress()

    def _make_view(self, progress: LessonProgress) -> LessonView:
        document, own = self._document, None
        assert self._lesson_file is not None
        comparison = document.comparison
        if comparison is not None and not document.is_stale:
            window = document.scenario.window_count()
            own = next(
                (
                    candidate
                    for candidate in comparison.candidates
                    if candidate.candidate.window == window
                    and len(candidate.runs) == comparison.planned.count
                ),
                None,
            )
        return LessonView(
            given=self._lesson_file.scenario,
            scenario=document.scenario,
            estimate=document.estimate,
            own=own,
            looked_at=document.selected_result,
            answer=progress.answer,
            justification=progress.justification,
        )

    def _on_opened(self) -> None:
        if self._progress is not None and self._document.saved is not self._lesson_file:
            self.leave()

    # Display

    def _build(self) -> None:
        inside = QWidget()
        inside.setObjectName("fields")
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(10, 2, 8, 4)
        layout.setSpacing(8)
        self._progress_label = self._text_to_focus = self._current_widget = None
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
            before.deleteLater()  # the pressed button of the old content still sends its signal
        self._scroll.setWidget(inside)
        if self._text_to_focus is not None:
            self._text_to_focus.setFocus()
        self._show_progress()

    def _fill_list(self, layout: QVBoxLayout) -> None:
        layout.addWidget(_text("Lessons", "group"))
        layout.addWidget(_text("Six steps each; a step is passed when it is done.", "soft"))
        for lesson in LESSONS:
            card = ChoiceCard(lesson.title, lesson.about)
            card.clicked.connect(lambda _checked=False, lesson=lesson: self.ask_begin(lesson))
            layout.addWidget(card)

    def _fill_lesson(self, layout: QVBoxLayout, progress: LessonProgress) -> None:
        heading = QHBoxLayout()
        heading.addWidget(_text(progress.lesson.title, "strong"), 1)
        leave_button = QToolButton()
        leave_button.setText("All lessons")
        leave_button.setToolTip("Leave this lesson and choose another")
        leave_button.clicked.connect(self.leave)
        heading.addWidget(leave_button)
        layout.addLayout(heading)
        done, step_count = len(progress.passed), len(progress.lesson.steps)
        for record in progress.passed:
            text = record.step.after
            if record.step.right is not None:
                text = _prediction_text(progress, record.step)
            layout.addWidget(_passed_step(record.step.name, text))
        if progress.step is None:
            self._fill_last(layout, progress.justification)
            return
        card = QFrame()
        card.setObjectName("card")
        inside = QVBoxLayout(card)
        inside.setContentsMargins(10, 8, 10, 10)
        inside.setSpacing(6)
        inside.addWidget(_text(f"{done + 1} of {step_count} · {progress.step.name}", "soft"))
        inside.addWidget(_text(progress.step.task, "task"))
        self._fill_step(inside, progress.step)
        self._progress_label = _text("", "soft")
        self._progress_label.setAccessibleName("Progress of the step")
        inside.addWidget(self._progress_label)
        layout.addWidget(card)
        self._current_widget = card

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
            layout.addWidget(self._make_text_field(self._progress.justification))

    def _fill_runs(self, layout: QVBoxLayout) -> None:
        """Add the choice of the selected run, which the list of runs offers, too."""
        comparison = self._document.comparison
        assert comparison is not None  # an earlier step simulated the comparison
        windows = [str(result.candidate.window) for result in comparison.candidates]
        runs = Segmented(
            "Window", [(window, window, f"Select window {window}") for window in windows]
        )
        if self._document.selection is not None:
            runs.select(windows[self._document.selection])
        runs.picked.connect(lambda window: self._document.select(windows.index(window)))
        layout.addWidget(runs, 0, Qt.AlignmentFlag.AlignLeft)

    def _fill_switch(self, layout: QVBoxLayout, switch: Switch) -> None:
        layout.addWidget(_text(switch.words, "soft"))
        group = QButtonGroup(layout)
        value_now = self._document.scenario.as_data()
        for part in switch.key.split("."):
            value_now = value_now[part]
        for words, value in switch.choices.items():
            answer = AnswerButton(words)
            answer.button.setChecked(value_now == value)
            group.addButton(answer.button)
            layout.addWidget(answer)
            answer.button.clicked.connect(
                lambda _checked=False, value=value: edit_values(
                    self._document, switch.words.lower(), {switch.key: value}
                )
            )

    def _make_text_field(self, text: str) -> QPlainTextEdit:
        """Return the field for the justification; it keeps the focus when the panel is rebuilt."""
        had_focus = any(field.hasFocus() for field in self.findChildren(QPlainTextEdit))
        text_field = QPlainTextEdit()
        text_field.setAccessibleName("Why")
        text_field.setPlaceholderText("Why did you choose this?")
        text_field.setTabChangesFocus(True)
        text_field.setFixedHeight(_WRITING_PX)
        text_field.setPlainText(text)
        text_field.moveCursor(QTextCursor.MoveOperation.End)
        text_field.textChanged.connect(lambda: self._on_writing(text_field.toPlainText()))
        self._text_to_focus = text_field if had_focus else None
        return text_field

    def _fill_last(self, layout: QVBoxLayout, justification: str) -> None:
        layout.addWidget(_text("✓ Done. Your page shows every step of the lesson.", "task"))
        layout.addWidget(self._make_text_field(justification))
        name = QLineEdit()
        name.setAccessibleName("Your name")
        name.setPlaceholderText("Your name")
        layout.addWidget(name)
        button = QPushButton("Write page to hand in…")
        button.setObjectName("primary")
        button.clicked.connect(lambda: self._ask_page(name.text()))
        layout.addWidget(button)
        self._current_widget = button

    def _show_current(self) -> None:
        """Scroll to the current step, below the steps that are passed."""
        if self._current_widget is not None:
            self._scroll.ensureWidgetVisible(self._current_widget, 0, 4)

    def _show_progress(self) -> None:
        if self._progress_label is not None and self._progress is not None:
            step = self._progress.step
            text = "" if step is None else step.goal.progress_text(self._make_view(self._progress))
            self._progress_label.setText(text)
            self._progress_label.setVisible(bool(text))

    # Actions of the user

    def _on_answer(self, index: int) -> None:
        assert self._progress is not None
        self._progress = replace(self._progress, answer=index)
        self._check_progress()

    def _on_writing(self, text: str) -> None:
        assert self._progress is not None
        self._progress = replace(self._progress, justification=text)
        self._check_progress()

    def _ask_page(self, name: str) -> None:
        from studio.reports.lesson_report import page_name  # noqa: PLC0415 - with matplotlib

        assert self._progress is not None
        file = f"{page_name(self._progress.lesson, name)}.html"
        ask_for_file(
            self, "Write the page to", "Pages (*.html)", lambda path: self.write_page(path, name),
            file,
        )  # fmt: skip

    def write_page(self, path: Path, name: str) -> None:
        """Write the page to hand in; report why when that fails."""
        from studio.reports.lesson_report import hand_in  # noqa: PLC0415 - with matplotlib

        assert self._progress is not None
        assert self._lesson_file is not None
        page = hand_in(
            self._progress, self._lesson_file.scenario, self._lesson_file.text, name, date.today()
        )
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


def _passed_step(name: str, words: str) -> QWidget:
    holder = QWidget()
    layout = QVBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(1)
    layout.addWidget(_text(f"✓ {name}", "passed"))
    if words:
        layout.addWidget(_text(words, "soft"))
    return holder


def _prediction_text(progress: LessonProgress, step: LessonStep) -> str:
    """Return the prediction as a sentence, and whether it was right once the result is revealed."""
    assert progress.answer is not None
    assert step.right is not None
    sentence = f"You said: {step.answers[progress.answer].lower()}."
    is_revealed = any(record.step.name == "Reveal" for record in progress.passed)
    if not is_revealed:
        return sentence
    if progress.was_right:
        return f"{sentence} That is right."
    return f"{sentence} The simulation shows: {step.answers[step.right].lower()}."
