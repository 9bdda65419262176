"""The comparison as a table: one row a candidate, in the texts that the command line prints."""

from __future__ import annotations

from PySide6.QtCore import (
    QAbstractTableModel,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFont
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from simulation.compare import CandidateResult, Comparison
from studio.format import TABLE_HEADINGS, shown_columns, table_row
from studio.theme import LIGHT, Theme

ROW_PX = 25
_Index = QModelIndex | QPersistentModelIndex

_TIPS = {
    "window": "Instances under way at once",
    "surge": "Instances beyond the fleet",
    "pause": "How long the rollout waits before the next",
    "drain": "Drain timeout",
    "policy": "How the balancer chooses an instance",
    "start": "When the rollout begins",
    "takes": "Mean duration of the rollout",
    "fewest": "Mean of the fewest instances in the pool",
    "p99": "Mean p99 of the latency during the rollout",
    "errors": "Mean share of requests that failed during the rollout",
    "failed": "Mean number of failed requests in a run, over the common interval",
    "verdict": "Whether the objectives hold, and in how many runs",
}


def _sort_keys(result: CandidateResult) -> tuple[object, ...]:
    """What the columns are sorted by: the figures behind the texts."""
    metrics, candidate = result.metrics, result.candidate
    figures = (
        "rollout_duration_s",
        "lowest_in_pool_count",
        "rollout_latency_p99_s",
        "rollout_error_fraction",
        "failed_requests",
    )
    means = [metrics[name].mean for name in figures]
    return (
        candidate.window,
        str(candidate.surge).rjust(9),
        candidate.pause_s,
        candidate.drain_timeout_s,
        candidate.policy or "",
        candidate.start_label,
        *(float("inf") if mean is None else mean for mean in means),
        -result.verdict.runs_meeting,
    )


class _Model(QAbstractTableModel):
    """The candidates of a comparison."""

    def __init__(self) -> None:
        super().__init__()
        self.comparison: Comparison | None = None
        self.theme = LIGHT
        self._texts: list[tuple[str, ...]] = []
        self._keys: list[tuple[object, ...]] = []

    def show(self, comparison: Comparison | None, theme: Theme) -> None:
        """Takes other candidates in."""
        self.beginResetModel()
        self.comparison, self.theme = comparison, theme
        results = comparison.candidates if comparison else ()
        self._texts = [table_row(result) for result in results]
        self._keys = [_sort_keys(result) for result in results]
        self.endResetModel()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self._texts)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's
        return 0 if parent.isValid() else len(TABLE_HEADINGS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        heading = TABLE_HEADINGS[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return heading
        if role == Qt.ItemDataRole.ToolTipRole:
            return _TIPS[heading]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(heading)
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        heading = TABLE_HEADINGS[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._texts[index.row()][index.column()]
        if role == Qt.ItemDataRole.UserRole:
            return self._keys[index.row()][index.column()]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(heading)
        if self.comparison is None:
            return None
        if role == Qt.ItemDataRole.ForegroundRole and heading == "verdict":
            answer = self.comparison.candidates[index.row()].verdict.answer
            return QColor(self.theme.answer_colours(answer)[1])
        if role == Qt.ItemDataRole.FontRole and index.row() == self.comparison.chosen:
            font = QFont()
            font.setWeight(QFont.Weight.DemiBold)
            return font
        return None


def _alignment(heading: str) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if heading == "verdict" else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter


class CandidateTable(QTableView):
    """The rows; the one that is picked is the candidate that everything else shows."""

    picked = Signal(int)
    """The person picked a candidate, by its place in the comparison."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = _Model()
        self._proxy = QSortFilterProxyModel(self)
        self._proxy.setSourceModel(self._model)
        self._proxy.setSortRole(Qt.ItemDataRole.UserRole)
        self.setModel(self._proxy)
        self.setAccessibleName("Candidates")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTabKeyNavigation(False)  # the tab key leads on; arrows stay inside
        self.setShowGrid(False)
        self.setSortingEnabled(True)
        self.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(ROW_PX)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        for widest in ("takes", "verdict"):
            column = TABLE_HEADINGS.index(widest)
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        header.setHighlightSections(False)
        self._selected: int | None = None
        self.selectionModel().currentRowChanged.connect(self._on_row)

    def show_comparison(
        self, comparison: Comparison | None, selected: int | None, theme: Theme
    ) -> None:
        """Shows other candidates, one of them picked."""
        self._selected = selected
        self._model.show(comparison, theme)
        shown = shown_columns(comparison.candidates if comparison else ())
        for column in range(len(TABLE_HEADINGS)):
            self.setColumnHidden(column, column not in shown)
        self.show_selected(selected)

    def show_selected(self, selected: int | None) -> None:
        """Marks a candidate without taking it for the person's choice."""
        self._selected = selected
        if selected is None:
            return
        index = self._proxy.mapFromSource(self._model.index(selected, 0))
        flags = (
            QItemSelectionModel.SelectionFlag.ClearAndSelect
            | QItemSelectionModel.SelectionFlag.Rows
        )
        self.selectionModel().setCurrentIndex(index, flags)

    def texts(self) -> list[tuple[str, ...]]:
        """What is shown, row by row, as it is sorted."""
        return [
            tuple(
                str(self._proxy.index(row, column).data()) for column in range(len(TABLE_HEADINGS))
            )
            for row in range(self._proxy.rowCount())
        ]

    def _on_row(self, current: QModelIndex, _previous: QModelIndex) -> None:
        if not current.isValid():
            return
        row = self._proxy.mapToSource(current).row()
        if row != self._selected:
            self._selected = row
            self.picked.emit(row)
