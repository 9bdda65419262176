"""The dock *Scenario*: the fields of the scenario, on the left."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QLabel, QScrollArea, QVBoxLayout, QWidget

from studio.gui.docks.field_row import ChoiceRow, NumberRow, TextRow
from studio.gui.document.commands import edit_values, edit_windows, reset_everything, reset_value
from studio.gui.document.document import Document
from studio.gui.document.fields import (
    Field,
    FieldChoice,
    fields_of,
    parse_start_text,
    parse_windows_text,
    start_text,
)

PANEL_WIDTH = 264


class ScenarioPanel(QFrame):
    """Rows for every field of the document, in groups."""

    typing = Signal()
    """The user is typing; the text is not taken over yet, see `commit_typed`."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setFixedWidth(PANEL_WIDTH)
        self._document = document
        self._numbers: dict[str, NumberRow] = {}
        self._choices: dict[str, ChoiceRow] = {}
        self._unlocked: frozenset[str] | None = None
        self._windows: TextRow | None = None
        self._start: TextRow | None = None
        outer = QVBoxLayout(self)
        outer.setContentsMargins(4, 8, 2, 8)
        self._scroll = QScrollArea()
        self._scroll.setAccessibleName("Scenario")
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.candidate = QLabel()
        self.candidate.setObjectName("soft")
        self.candidate.setContentsMargins(10, 0, 8, 0)
        self.candidate.setWordWrap(True)
        self.candidate.setTextFormat(Qt.TextFormat.PlainText)
        outer.addWidget(self.candidate)
        outer.addWidget(self._scroll)
        for signal in (document.compared, document.selected, document.listed):
            signal.connect(self._show_candidate)
        document.opened.connect(self._build)
        document.edited.connect(self._show)
        self._build()

    def commit_typed(self) -> None:
        """Take over text that is still being typed, before an action that uses it."""
        for row in (*self._numbers.values(), self._windows, self._start):
            if row is not None:
                row.commit_typed()

    def reset_all(self) -> None:
        """Set every value back to the saved one."""
        reset_everything(self._document)

    def _build(self) -> None:
        """Make the rows for the scenario's fields."""
        self._numbers.clear()
        self._choices.clear()
        self._windows = self._start = None
        rows = QWidget()
        rows.setObjectName("fields")
        layout = QVBoxLayout(rows)
        layout.setContentsMargins(10, 2, 2, 2)
        layout.setSpacing(4)
        group = ""
        for field in self._fields():
            if field.group != group:
                group = field.group
                if layout.count():
                    layout.addSpacing(5)
                heading = QLabel(group)
                heading.setObjectName("group")
                layout.addWidget(heading)
            layout.addWidget(self._row_of(field))
            if field.key == "rollout.window":
                layout.addWidget(self._build_windows())
            if field.group == "Traffic":
                layout.addWidget(self._build_start())
        layout.addStretch(1)
        self._scroll.setWidget(rows)
        self._show()

    def _row_of(self, field: Field | FieldChoice) -> QWidget:
        if isinstance(field, FieldChoice):
            choice = ChoiceRow(field)
            choice.chosen.connect(lambda word, key=field.key: self._on_word(key, word))
            choice.reset.connect(lambda field=field: self._on_reset(field))
            self._choices[field.key] = choice
            return choice
        row = NumberRow(field)
        row.typed.connect(lambda value, key=field.key: self._on_value(key, value))
        row.slid.connect(lambda value, key=field.key: self._on_value(key, value, slides=True))
        row.reset.connect(lambda field=field: self._on_reset(field))
        row.typing.connect(self.typing)
        self._numbers[field.key] = row
        return row

    def lock(self, unlocked: frozenset[str] | None) -> None:
        """Lock all fields but some, by their keys; None unlocks every field."""
        self._unlocked = unlocked
        self._show()

    def _build_windows(self) -> TextRow:
        row = TextRow(
            "Compare",
            "The windows to compare, separated by commas; leave the field empty for windows that "
            "suit the fleet.",
            parse_windows_text,
        )
        row.typed.connect(self._on_windows)
        row.refused.connect(self._document.refused)
        row.reset.connect(lambda: self._on_windows(()))
        row.typing.connect(self.typing)
        self._windows = row
        return row

    def _build_start(self) -> TextRow:
        row = TextRow(
            "Start at",
            "When the rollout begins on the traffic's clock: a time of day (18:00), an offset "
            "(90m), or a date and time.",
            parse_start_text,
        )
        row.typed.connect(self._on_start)
        row.refused.connect(self._document.refused)
        row.reset.connect(self._on_reset_start)
        row.typing.connect(self.typing)
        self._start = row
        return row

    def _show(self) -> None:
        """Show the document's values, and a dot beside each value that differs from the saved one."""
        scenario, saved = self._document.scenario, self._document.saved.scenario
        saved_values = self._saved_values()
        for field in self._fields():
            row: NumberRow | ChoiceRow | None
            if isinstance(field, FieldChoice):
                row = choice = self._choices.get(field.key)
                if choice is not None:
                    choice.show_field(field)
            else:
                row = number = self._numbers.get(field.key)
                if number is not None:
                    number.show_field(field)
            if row is not None:
                row.mark_changed(field.value != saved_values.get(field.key, field.value))
                row.setEnabled(self._is_unlocked(field.key))
        if self._windows is not None:
            self._windows.show_text(", ".join(map(str, self._document.windows())))
            self._windows.mark_changed(bool(self._document.state.windows))
            self._windows.setEnabled(self._unlocked is None)
        if self._start is not None:
            self._start.show_text(start_text(scenario))
            self._start.mark_changed(start_text(scenario) != start_text(saved))
            self._start.setEnabled(self._is_unlocked("clock.start"))

        self._show_candidate()

    def _show_candidate(self) -> None:
        """Say which candidate the fields are of where the pages show another one."""
        run = self._document.current_run
        shows_other = run is not None and self._document.shows_other_candidate
        self.candidate.setVisible(shows_other)
        if run is not None and shows_other:
            window = self._document.scenario.window_count()
            name = run.name if run.is_named else run.name.lower()
            self.candidate.setText(
                f"These are the values of window {window}; the pages show {name}."
            )

    def _is_unlocked(self, key: str) -> bool:
        return self._unlocked is None or key in self._unlocked

    def _fields(self) -> list[Field | FieldChoice]:
        return fields_of(self._document.scenario, self._document.saved.scenario)

    def _saved_values(self) -> dict[str, float | str]:
        saved = self._document.saved.scenario
        return {field.key: field.value for field in fields_of(saved, saved)}

    def _on_value(self, key: str, value: float, *, slides: bool = False) -> None:
        field = next(candidate for candidate in self._fields() if candidate.key == key)
        if isinstance(field, FieldChoice) or value == field.value:
            return
        words = field.label.lower()
        # writes the value in the notation of the saved file
        if value == self._saved_values().get(key):
            accepted = reset_value(self._document, words, key, slides=slides)
        else:
            values = {key: field.write(value)}
            accepted = edit_values(self._document, words, values, slides=slides)
        if not accepted:
            self._show()

    def _on_word(self, key: str, word: str) -> None:
        field = next(candidate for candidate in self._fields() if candidate.key == key)
        label = field.label.lower()
        # writes the value in the notation of the saved file
        if word == self._saved_values().get(key):
            accepted = reset_value(self._document, label, key)
        else:
            accepted = edit_values(self._document, label, {key: word})
        if not accepted:
            self._show()

    def _on_reset(self, field: Field | FieldChoice) -> None:
        reset_value(self._document, f"reset {field.label.lower()}", field.key)

    def _on_windows(self, windows: object) -> None:
        assert isinstance(windows, tuple)
        fleet = self._document.scenario.service.instance_count
        too_wide = [window for window in windows if window > fleet]
        if too_wide:
            self._document.refused.emit(
                f"window ({too_wide[0]}) must not exceed the fleet ({fleet})"
            )
        else:
            edit_windows(self._document, windows)
        self._show()  # the typed text may be another notation of the same windows

    def _on_start(self, start: object) -> None:
        if start == start_text(self._document.saved.scenario):
            reset_value(self._document, "start", "clock.start")
        else:
            edit_values(self._document, "start", {"clock.start": start})
        self._show()

    def _on_reset_start(self) -> None:
        reset_value(self._document, "reset start", "clock.start")
