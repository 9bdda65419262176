"""The dock *Runs*: the simulated runs, to select, compare, rename and remove."""

from __future__ import annotations

from PySide6.QtCore import (
    QAbstractTableModel,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
)
from PySide6.QtGui import QColor, QFont, QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QLabel,
    QTableView,
    QVBoxLayout,
)

from studio.gui.document.commands import compare_run, remove_run, rename_run
from studio.gui.document.document import Document
from studio.gui.document.runs import KeptRun
from studio.views.figures_text import (
    ANSWER_GLYPHS,
    ANSWER_TIPS,
    ANSWER_WORDS,
    clock_text,
    count_text,
    drain_text,
    latency_text,
    verdict_text,
)
from studio.views.theme import LIGHT, Theme

ROW_PX = 26
_PADDING_PX = 17
"""Margin on both sides of a cell's text, in pixels."""
_WIDEST_PX = 220
"""Maximum width of the name before other columns are hidden, in pixels."""
_Index = QModelIndex | QPersistentModelIndex

HEADINGS = ("", "run", "window", "drain", "min", "fewest", "p99", "failed", "seed", "verdict")
_TIPS = {
    "": "\n".join(f"{glyph} {ANSWER_TIPS[answer]}" for answer, glyph in ANSWER_GLYPHS.items()),
    "run": "Name of the run; F2 renames it. The box shows the run in Compare.",
    "window": "Instances that are out at once",
    "drain": "Drain timeout",
    "min": "Mean duration of the rollout, minutes and seconds",
    "fewest": "Mean of the lowest number of instances in the pool",
    "p99": "Mean p99 of the latency during the rollout",
    "failed": "Mean number of requests that fail per run, over the time that all candidates share",
    "seed": "Random seed of the runs",
    "verdict": "Whether the objectives hold, and in how many runs",
}
_LEGEND = "   ".join(
    entry.replace(" ", "\u00a0")
    for entry in (
        "☑ shows in Compare",
        *(f"{ANSWER_GLYPHS[answer]} {words}" for answer, words in ANSWER_WORDS.items()),
    )
)
"""A no-break space keeps each sign beside its word."""
_MARK, _NAME, _VERDICT = 0, 1, len(HEADINGS) - 1
_NARROW = ("", "run", "min", "p99")
"""The columns of a narrow list; a wider list shows more."""


def _texts(run: KeptRun) -> tuple[str, ...]:
    metrics, candidate = run.result.metrics, run.result.candidate
    return (
        ANSWER_GLYPHS[run.result.verdict.answer],
        run.name,
        str(candidate.window),
        drain_text(candidate.drain_timeout_s),
        clock_text(metrics["rollout_duration_s"].mean),
        count_text(metrics["lowest_in_pool_count"].mean),
        latency_text(metrics["rollout_latency_p99_s"].mean),
        count_text(metrics["failed_requests"].mean),
        str(run.scenario.seed),
        verdict_text(run.result),
    )


def _sort_keys(run: KeptRun) -> tuple[object, ...]:
    metrics, candidate = run.result.metrics, run.result.candidate
    names = (
        "rollout_duration_s", "lowest_in_pool_count", "rollout_latency_p99_s", "failed_requests",
    )  # fmt: skip
    means = [metrics[name].mean for name in names]
    figures = [float("inf") if mean is None else mean for mean in means]
    return (
        -run.result.verdict.runs_meeting, f"{candidate.window:9} {run.name}", candidate.window, candidate.drain_timeout_s, *figures,
        run.scenario.seed, -run.result.verdict.runs_meeting,
    )  # fmt: skip


class _RunsModel(QAbstractTableModel):
    """The runs of a document."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self._document, self.theme = document, LIGHT
        self.runs: tuple[KeptRun, ...] = ()
        self._texts: list[tuple[str, ...]] = []
        self._keys: list[tuple[object, ...]] = []
        self._compared_keys: set[str] = set()

    def show(self) -> bool:
        """Show the document's runs; return whether the rows are others than before."""
        runs = self._document.runs
        has_other_rows = [run.key for run in runs] != [run.key for run in self.runs]
        if has_other_rows:
            self.beginResetModel()
        self.runs = runs
        self._texts = [_texts(run) for run in runs]
        self._keys = [_sort_keys(run) for run in runs]
        self._compared_keys = {run.key for run in self._document.side_by_side}
        if has_other_rows:
            self.endResetModel()
        elif runs:
            self.dataChanged.emit(self.index(0, 0), self.index(len(runs) - 1, _VERDICT))
        return has_other_rows

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self._texts)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's
        return 0 if parent.isValid() else len(HEADINGS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return HEADINGS[section]
        if role == Qt.ItemDataRole.ToolTipRole:
            return _TIPS[HEADINGS[section]]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(section)
        return None

    def flags(self, index: _Index) -> Qt.ItemFlag:
        flags = super().flags(index)
        if index.column() == _NAME:
            flags |= Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEditable
        return flags

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        run = self.runs[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._texts[index.row()][index.column()]
        if role == Qt.ItemDataRole.UserRole:
            return self._keys[index.row()][index.column()]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(index.column())
        answer = run.result.verdict.answer
        if role == Qt.ItemDataRole.ForegroundRole and index.column() in (_MARK, _VERDICT):
            return QColor(self.theme.answer_colours(answer)[1])
        if index.column() == _MARK and role == Qt.ItemDataRole.ToolTipRole:
            return verdict_text(run.result)
        if index.column() != _NAME:
            return None
        if role == Qt.ItemDataRole.EditRole:
            return run.name
        if role == Qt.ItemDataRole.CheckStateRole:
            is_compared = run.key in self._compared_keys
            return Qt.CheckState.Checked if is_compared else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{run.name}: {verdict_text(run.result)}"
        if role == Qt.ItemDataRole.FontRole and run.is_kept:
            font = QFont()
            font.setWeight(QFont.Weight.DemiBold)
            return font
        return None

    def setData(self, index: _Index, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        run = self.runs[index.row()]
        if role == Qt.ItemDataRole.EditRole:
            rename_run(self._document, run, str(value))
        elif role == Qt.ItemDataRole.CheckStateRole:
            compare_run(self._document, run, Qt.CheckState(value) == Qt.CheckState.Checked)
        else:
            return False
        return True


def _alignment(column: int) -> Qt.AlignmentFlag:
    is_left = column in (_NAME, _VERDICT)
    side = Qt.AlignmentFlag.AlignLeft if is_left else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter


class RunsTable(QTableView):
    """The rows; the current one is the selected run."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self._document = document
        self._model = _RunsModel(document)
        self._proxy = QSortFilterProxyModel(self)
        self._proxy.setSourceModel(self._model)
        self._proxy.setSortRole(Qt.ItemDataRole.UserRole)
        self.setModel(self._proxy)
        self.setAccessibleName("Runs")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(
            QAbstractItemView.EditTrigger.EditKeyPressed
            | QAbstractItemView.EditTrigger.DoubleClicked
        )
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # the names of runs differ at the end
        self.setTabKeyNavigation(False)  # Tab leaves the table; arrows move inside
        self.setShowGrid(False)
        self.setSortingEnabled(True)
        self.sortByColumn(_NAME, Qt.SortOrder.AscendingOrder)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(ROW_PX)
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().setMinimumSectionSize(20)
        self.selectionModel().currentRowChanged.connect(self._on_row)
        for signal in (document.opened, document.compared, document.selected, document.listed):
            signal.connect(self.show_runs)
        self.show_runs()

    def set_theme(self, theme: Theme) -> None:
        """Show the verdicts in the colours of another theme."""
        self._model.theme = theme
        self.show_runs()

    def show_runs(self) -> None:
        """Show the document's runs without reporting a selection by the user."""
        if self._model.show():
            self._fit()
        selected_run = self._document.current_run
        for row, run in enumerate(self._model.runs):
            if selected_run is not None and run.key == selected_run.key:
                index = self._proxy.mapFromSource(self._model.index(row, self._column()))
                flags = QItemSelectionModel.SelectionFlag.ClearAndSelect
                self.selectionModel().setCurrentIndex(
                    index, flags | QItemSelectionModel.SelectionFlag.Rows
                )

    def _column(self) -> int:
        return max(0, self.currentIndex().column())

    def texts(self) -> list[tuple[str, ...]]:
        """Return the shown texts, row by row, in the sorted order."""
        model = self._proxy
        return [
            tuple(str(model.index(row, column).data()) for column in range(len(HEADINGS)))
            for row in range(model.rowCount())
        ]

    def current(self) -> KeptRun | None:
        """Return the run of the current row."""
        index = self._proxy.mapToSource(self.currentIndex())
        return self._model.runs[index.row()] if index.isValid() else None

    def rename_current(self) -> None:
        """Open the name of the current run for editing."""
        index = self.currentIndex().siblingAtColumn(_NAME)
        if index.isValid():
            self.setFocus()
            self.setCurrentIndex(index)
            self.edit(index)

    def remove_current(self) -> None:
        """Remove the current run from the list."""
        run = self.current()
        if run is not None:
            remove_run(self._document, run)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Delete and not event.modifiers():
            self.remove_current()
        elif event.key() == Qt.Key.Key_Space and (run := self.current()) is not None:
            shown_keys = {run_shown.key for run_shown in self._document.side_by_side}
            compare_run(self._document, run, run.key not in shown_keys)
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: object) -> None:
        super().resizeEvent(event)  # type: ignore[arg-type]  # Qt's own event
        self._fit()

    def _fit(self) -> None:
        """Show as many columns as fit; the name takes the remaining width."""
        header, fm = self.horizontalHeader(), self.fontMetrics()
        needed_px = {name: max(
            [fm.horizontalAdvance(name)]
            + [fm.horizontalAdvance(str(self._proxy.index(row, column).data()))
               for row in range(min(50, self._proxy.rowCount()))]
        ) + _PADDING_PX for column, name in enumerate(HEADINGS)}  # fmt: skip
        needed_px[""] = fm.horizontalAdvance("✓") + 14
        needed_px["run"] = min(needed_px["run"] + ROW_PX, _WIDEST_PX)
        free_px = self.viewport().width() - sum(needed_px[name] for name in _NARROW)
        shown_columns = set(_NARROW)
        for name in ("verdict", "fewest", "failed", "drain", "window", "seed"):
            if needed_px[name] > free_px:
                break
            free_px -= needed_px[name]
            shown_columns.add(name)
        for column, name in enumerate(HEADINGS):
            self.setColumnHidden(column, name not in shown_columns)
            resize_mode = (
                QHeaderView.ResizeMode.Stretch if name == "run" else QHeaderView.ResizeMode.Fixed
            )
            header.setSectionResizeMode(column, resize_mode)
            if name != "run":
                header.resizeSection(column, needed_px[name])

    def _on_row(self, current: QModelIndex, _previous: QModelIndex) -> None:
        selected_run = self._document.current_run
        if current.isValid():
            key = self._model.runs[self._proxy.mapToSource(current).row()].key
            # otherwise the row only follows the document
            if selected_run is None or key != selected_run.key:
                self._document.look_at(key)


class RunsPanel(QFrame):
    """The list with a heading and a legend."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.table = RunsTable(document)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 10, 6, 10)
        self.table.setObjectName("runs")
        heading = QLabel("Runs")
        heading.setObjectName("heading")
        heading.setIndent(4)
        layout.addWidget(heading)
        layout.addWidget(self.table, 1)
        legend = QLabel(_LEGEND)
        legend.setObjectName("soft")
        legend.setWordWrap(True)
        layout.addWidget(legend)
        self.setMinimumWidth(200)
