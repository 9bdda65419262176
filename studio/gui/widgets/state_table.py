"""The fleet at a moment as a table, for those who cannot use the picture."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from simulation.results.states import State
from studio.views.figures_text import clock_text
from studio.views.replay import Story
from studio.views.states import look_of

HEADINGS = ("instance", "state", "since", "until", "version")
_ROW_PX = 24
_PADDING_PX = 32
"""Beside the text of a cell."""
_Index = QModelIndex | QPersistentModelIndex


class _StatesModel(QAbstractTableModel):
    """A story at a moment, one row an instance."""

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
        """Tells of the rows that have changed, from the first to the last of them."""
        if self._story is None:
            return
        before, self._interval = self._interval, self._story.at(time_s)
        changed = np.flatnonzero(before != self._interval)
        if len(changed):
            last = self.index(int(changed[-1]), len(HEADINGS) - 1)
            self.dataChanged.emit(self.index(int(changed[0]), 0), last)

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
    """An instance in an interval of its states, under `HEADINGS`."""
    one = story.spell(interval)
    look = look_of(one.state, one.is_new)
    until = "the end" if one.end_s >= story.until_s else clock_text(one.end_s)
    return (
        story.names[instance],
        f"{look.glyph}  {one.state.value}",
        clock_text(max(0.0, one.begin_s)),
        until,
        "new" if one.is_new else "old",
    )


class StateTable(QTableView):
    """What each instance does; Enter asks for its story."""

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
        """Shows another story."""
        self._model.show_story(story)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Each column has what its longest words need, and its share of what is left."""
        story, metrics = self._model.story, self.fontMetrics()
        longest = [[heading] for heading in HEADINGS]
        if story is not None:
            longest[0] += story.names
            longest[1] += [f"✓  {state.value}" for state in State]
            longest[3] += ["the end"]
        needed = [
            max(metrics.horizontalAdvance(one) for one in words) + _PADDING_PX for words in longest
        ]
        left = max(0, self.viewport().width() - sum(needed)) // len(needed)
        for column, width in enumerate(needed):
            self.horizontalHeader().resizeSection(column, width + left)

    def show_time(self, time_s: float) -> None:
        """Shows another moment; where the person is in the table stays."""
        self._model.show_time(time_s)
