"""The list of runs: what was simulated, to look at, to compare, to name and to remove."""

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
    clock_text,
    count_text,
    drain_text,
    latency_text,
    verdict_text,
)
from studio.views.theme import LIGHT, Theme

ROW_PX = 26
_PADDING_PX = 17
"""Beside the text of a cell."""
_WIDEST_PX = 220
"""A name may ask for so much before other columns go."""
_Index = QModelIndex | QPersistentModelIndex

HEADINGS = ("", "run", "window", "drain", "min", "fewest", "p99", "failed", "seed", "verdict")
_TIPS = {
    "": "✓ meets the objectives, ✗ fails, ? undecided",
    "run": "What it is called; F2 renames. The box puts it into Compare.",
    "window": "Instances under way at once",
    "drain": "Drain timeout",
    "min": "Mean duration of the rollout, minutes and seconds",
    "fewest": "Mean of the fewest instances in the pool",
    "p99": "Mean p99 of the latency during the rollout",
    "failed": "Mean number of failed requests in a run",
    "seed": "What the chance of all its runs was drawn from",
    "verdict": "Whether the objectives hold, and in how many runs",
}
_LEGEND = "☑\u00a0shows\u00a0in\u00a0Compare   ✓\u00a0meets   ?\u00a0undecided   ✗\u00a0fails"
"""A sign stays with its word where the line breaks."""
_MARK, _NAME, _VERDICT = 0, 1, len(HEADINGS) - 1
_NARROW = ("", "run", "min", "p99")
"""What is shown while the list is narrow; all of it when it is widened."""


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
        self._compared: set[str] = set()

    def show(self) -> bool:
        """Takes the document's runs in; says whether other rows stand there now."""
        runs = self._document.runs
        other_rows = [run.key for run in runs] != [run.key for run in self.runs]
        if other_rows:
            self.beginResetModel()
        self.runs = runs
        self._texts = [_texts(run) for run in runs]
        self._keys = [_sort_keys(run) for run in runs]
        self._compared = {run.key for run in self._document.side_by_side}
        if other_rows:
            self.endResetModel()
        elif runs:
            self.dataChanged.emit(self.index(0, 0), self.index(len(runs) - 1, _VERDICT))
        return other_rows

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
            held = run.key in self._compared
            return Qt.CheckState.Checked if held else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{run.name} {verdict_text(run.result).partition(' ')[2]}"
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
    """The rows; the current one is the run that every page shows."""

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
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # runs differ in how their names end
        self.setTabKeyNavigation(False)  # the tab key leads on; arrows stay inside
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
        """Colours the verdicts anew."""
        self._model.theme = theme
        self.show_runs()

    def show_runs(self) -> None:
        """Shows the document's runs without taking anything for the person's choice."""
        if self._model.show():
            self._fit()
        looked_at = self._document.current_run
        for row, run in enumerate(self._model.runs):
            if looked_at is not None and run.key == looked_at.key:
                index = self._proxy.mapFromSource(self._model.index(row, self._column()))
                how = QItemSelectionModel.SelectionFlag.ClearAndSelect
                self.selectionModel().setCurrentIndex(
                    index, how | QItemSelectionModel.SelectionFlag.Rows
                )

    def _column(self) -> int:
        return max(0, self.currentIndex().column())

    def texts(self) -> list[tuple[str, ...]]:
        """What is shown, row by row, as it is sorted."""
        model = self._proxy
        return [
            tuple(str(model.index(row, column).data()) for column in range(len(HEADINGS)))
            for row in range(model.rowCount())
        ]

    def current(self) -> KeptRun | None:
        """The run of the current row."""
        index = self._proxy.mapToSource(self.currentIndex())
        return self._model.runs[index.row()] if index.isValid() else None

    def rename_current(self) -> None:
        """Opens the name of the current run for typing."""
        index = self.currentIndex().siblingAtColumn(_NAME)
        if index.isValid():
            self.setFocus()
            self.setCurrentIndex(index)
            self.edit(index)

    def remove_current(self) -> None:
        """Takes the current run off the list."""
        run = self.current()
        if run is not None:
            remove_run(self._document, run)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Delete and not event.modifiers():
            self.remove_current()
        elif event.key() == Qt.Key.Key_Space and (run := self.current()) is not None:
            shown = {one.key for one in self._document.side_by_side}
            compare_run(self._document, run, run.key not in shown)
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: object) -> None:
        super().resizeEvent(event)  # type: ignore[arg-type]  # Qt's own event
        self._fit()

    def _fit(self) -> None:
        """As many columns as there is room for; the name takes what is left."""
        header, fm = self.horizontalHeader(), self.fontMetrics()
        needed = {name: max(
            [fm.horizontalAdvance(name)]
            + [fm.horizontalAdvance(str(self._proxy.index(row, column).data()))
               for row in range(min(50, self._proxy.rowCount()))]
        ) + _PADDING_PX for column, name in enumerate(HEADINGS)}  # fmt: skip
        needed[""] = fm.horizontalAdvance("✓") + 14
        needed["run"] = min(needed["run"] + ROW_PX, _WIDEST_PX)
        free = self.viewport().width() - sum(needed[name] for name in _NARROW)
        shown = set(_NARROW)
        for name in ("verdict", "fewest", "failed", "drain", "window", "seed"):
            if needed[name] > free:
                break
            free -= needed[name]
            shown.add(name)
        for column, name in enumerate(HEADINGS):
            self.setColumnHidden(column, name not in shown)
            fixed = (
                QHeaderView.ResizeMode.Stretch if name == "run" else QHeaderView.ResizeMode.Fixed
            )
            header.setSectionResizeMode(column, fixed)
            if name != "run":
                header.resizeSection(column, needed[name])

    def _on_row(self, current: QModelIndex, _previous: QModelIndex) -> None:
        looked_at = self._document.current_run
        if current.isValid():
            key = self._model.runs[self._proxy.mapToSource(current).row()].key
            if looked_at is None or key != looked_at.key:  # else it only shows what is looked at
                self._document.look_at(key)


class RunsPanel(QFrame):
    """The list with its heading, and what its signs mean."""

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
