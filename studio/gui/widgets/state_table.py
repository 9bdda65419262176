"""The fleet at a moment as a table, for users who cannot see the picture."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from simulation.results.states import State
from studio.views.figures_text import clock_text
from studio.views.replay import Story
from studio.views.states import look_of, version_text

HEADINGS = ("instance", "state", "since", "until", "version")
_ROW_PX = 24
_PADDING_PX = 32
"""Margin on both sides of a cell's text, in pixels."""
_Index = QModelIndex | QPersistentModelIndex


class _StatesModel(QAbstractTableModel):
    """A story at a moment, one row per instance."""

    def __init__(self) -> None:
        super().__init__()
        self._story: Story | None = None
        self._interval = np.zeros(0, dtype=np.intp)

    @property
    def story(self) -> Story | None:
        return self._story

    def show_story(self, story: Story | None) -> None:
        self.beginResetModel()
        self._story = story
        self._interval = story.at(0.0) if story else np.zeros(0, dtype=np.intp)
        self.endResetModel()

    def show_time(self, time_s: float) -> None:
        """Report the changed rows, from the first to the last of them."""
        if self._story is None:
            return
        before, self._interval = self._interval, self._story.at(time_s)
        changed_rows = np.flatnonzero(before != self._interval)
        if len(changed_rows):
            last = self.index(int(changed_rows[-1]), len(HEADINGS) - 1)
            self.dataChanged.emit(self.index(int(changed_rows[0]), 0), last)

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() or self._story is None else self._story.count

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(HEADINGS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return HEADINGS[section]
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if self._story is None or role not in (
            Qt.ItemDataRole.DisplayRole,
            Qt.ItemDataRole.ToolTipRole,
        ):
            return None
        return row_of(self._story, index.row(), int(self._interval[index.row()]))[index.column()]


def row_of(story: Story, instance: int, interval: int) -> tuple[str, ...]:
    """Return the cells of an instance in an interval of its states, under `HEADINGS`."""
    span = story.spell(interval)
    look = look_of(span.state, span.is_new)
    until = "the end" if span.end_s >= story.until_s else clock_text(span.end_s)
    return (
        story.names[instance],
        f"{look.glyph}  {span.state.value}",
        clock_text(max(0.0, span.begin_s)),
        until,
        version_text(span.state, span.is_new),
    )


class StateTable(QTableView):
    """The state of each instance; Enter asks for its story."""

    picked = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Fleet as a table")
        self._model = _StatesModel()
        self.setModel(self._model)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW_PX)
        header = self.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.activated.connect(lambda index: self.picked.emit(index.row()))

    def show_story(self, story: Story | None) -> None:
        """Show another story."""
        self._model.show_story(story)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Give each column the width of its longest text, and an equal share of the rest."""
        story, metrics = self._model.story, self.fontMetrics()
        texts_by_column = [[heading] for heading in HEADINGS]
        if story is not None:
            texts_by_column[0] += story.names
            texts_by_column[1] += [f"✓  {state.value}" for state in State]
            texts_by_column[3] += ["the end"]
        needed_px = [
            max(metrics.horizontalAdvance(text) for text in texts) + _PADDING_PX
            for texts in texts_by_column
        ]
        extra_px = max(0, self.viewport().width() - sum(needed_px)) // len(needed_px)
        for column, width in enumerate(needed_px):
            self.horizontalHeader().resizeSection(column, width + extra_px)

    def show_time(self, time_s: float) -> None:
        """Show another moment; the current cell stays."""
        self._model.show_time(time_s)
