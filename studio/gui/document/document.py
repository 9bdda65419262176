"""The open document: the only state of the studio.

Widgets change the document through commands and learn of changes through its signals. The document
knows no widget.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QUndoStack

from executor.base.errors import BadInput
from simulation.scenario.file import ScenarioFile
from simulation.scenario.model import Scenario
from simulation.study.candidates import default_windows
from simulation.study.case import Case, cases_of
from studio.gui.document.on_disk import (
    DiskState,
    FileOnDisk,
    UnseenChange,
    is_same_place,
    read_file_on_disk,
)
from studio.gui.document.runs import KeptRun, merge_results, run_key, side_by_side

if TYPE_CHECKING:
    from simulation.estimates.estimate import Estimate
    from simulation.study.candidate_result import CandidateResult
    from simulation.study.compare import Comparison


@dataclass(frozen=True)
class DocumentState:
    """The part of the document that can be edited and undone.

    Attributes:
        file: The scenario with its text.
        windows: The windows to compare; empty for the defaults of the fleet's size.
    """

    file: ScenarioFile
    windows: tuple[int, ...] = ()


class Document(QObject):
    """A scenario, its simulated runs, and which run is selected."""

    edited = Signal()
    """The scenario or the windows to compare have changed."""
    opened = Signal()
    """Another file was opened."""
    compared = Signal()
    """There are new results."""
    selected = Signal()
    """Another run is selected."""
    listed = Signal()
    """A run was renamed, removed, shown in *Compare* or hidden there."""
    answered = Signal()
    """The awaited answer to the last edit is there, or is not awaited any longer."""
    refused = Signal(str)
    """An edit breaks a rule; the argument is the rule."""

    def __init__(self, file: ScenarioFile) -> None:
        super().__init__()
        self.undo = QUndoStack(self)
        self._state = DocumentState(file)
        self._saved = file
        self._known_text: str | None = file.text
        self._has_unseen_change = self._overrules_file = False
        self._simulated: DocumentState | None = None
        self._comparison: Comparison | None = None
        self._keys: tuple[str, ...] = ()
        self._compared_cases: tuple[Case, ...] = ()
        self._runs: tuple[KeptRun, ...] = ()
        self._removed: frozenset[str] = frozenset()
        self._selected_key: str | None = None
        self._is_user_choice = False
        self._estimate: tuple[DocumentState, Estimate | None] | None = None
        self._awaited: DocumentState | None = None

    @property
    def state(self) -> DocumentState:
        """The scenario and the windows, as edited."""
        return self._state

    @property
    def scenario(self) -> Scenario:
        """The scenario, as edited."""
        return self._state.file.scenario

    @property
    def saved(self) -> ScenarioFile:
        """The file as it was opened, saved, or last read from disk."""
        return self._saved

    @property
    def has_edits(self) -> bool:
        """Return whether the scenario differs from the file as it was last read."""
        return self._state.file != self._saved

    @property
    def is_changed(self) -> bool:
        """Return whether there is something to save: edits, or a file on disk that differs from the document."""
        return self.has_edits or self._has_unseen_change or self._overrules_file

    @property
    def comparison(self) -> Comparison | None:
        """The latest results; None before the first ones."""
        return self._comparison

    @property
    def is_stale(self) -> bool:
        """Return whether the results belong to another scenario than the edited one."""
        return self._simulated is not None and self._simulated != self._state

    def has_results_of(self, state: DocumentState) -> bool:
        """Return whether the results belong to a state, even if some runs are missing."""
        return self._simulated == state

    @property
    def is_simulated(self) -> bool:
        """Return whether the results of the edited scenario are complete: every run of every candidate."""
        comparison = self._comparison
        return (
            comparison is not None
            and self.has_results_of(self._state)
            and self._compared_cases == self.cases()
            and all(
                len(candidate.runs) >= comparison.planned.count
                for candidate in comparison.candidates
            )
        )

    @property
    def runs(self) -> tuple[KeptRun, ...]:
        """The runs in the order of the list."""
        return self._runs

    @property
    def current_run(self) -> KeptRun | None:
        """The run that every page shows; None before the first results."""
        return next((run for run in self._runs if run.key == self._selected_key), None)

    @property
    def side_by_side(self) -> tuple[KeptRun, ...]:
        """The runs that *Compare* shows, four at most."""
        return side_by_side(self._runs, self._selected_key)

    @property
    def selection(self) -> int | None:
        """The index of the selected candidate in the latest comparison; None when an older run is selected."""
        return self._keys.index(self._selected_key) if self._selected_key in self._keys else None

    @property
    def shows_other_candidate(self) -> bool:
        """Return whether the selected run is another candidate than the scenario as it is edited."""
        run = self.current_run
        if run is None or self.is_stale or self.scenario.rollout is None:
            return False
        is_older = self.selection is None
        return is_older or run.result.candidate.window != self.scenario.window_count()

    def runs_of_comparison(self) -> tuple[KeptRun | None, ...]:
        """Return the runs of the latest comparison in its order; None for a removed run."""
        run_by_key = {run.key: run for run in self._runs}
        return tuple(run_by_key.get(key) for key in self._keys)

    @property
    def selected_result(self) -> CandidateResult | None:
        """The result of the selected run."""
        run = self.current_run
        return None if run is None else run.result

    @property
    def awaits_answer(self) -> bool:
        """Return whether runs that answer the last edit are under way; widgets then wait for `answered`."""
        return self._awaited is self._state

    def await_answer(self) -> None:
        """Note that runs which answer the last edit are under way."""
        self._awaited = self._state

    def answer(self, state: DocumentState, answer: Estimate | None) -> None:
        """Take the answer to an edit.

        Args:
            state: The state that the answer is about; the answer to an older one is dropped.
            answer: The means of the first runs; None where closed forms must answer.
        """
        if state is not self._state:
            return
        if answer is not None:
            self._estimate = (state, answer)
        self._awaited = None
        self.answered.emit()

    @property
    def estimate(self) -> Estimate | None:
        """The quick answer for the edited scenario: by its first runs, or by closed forms where none fit.

        None when the scenario has no rollout.
        """
        if self._estimate is None or self._estimate[0] != self._state:
            from simulation.estimates.estimate import estimate  # noqa: PLC0415 - the first window does not need it

            try:
                estimated: Estimate | None = estimate(self.scenario)
            except BadInput:
                estimated = None
            self._estimate = (self._state, estimated)
        return self._estimate[1]

    def windows(self) -> tuple[int, ...]:
        """Return the windows that a comparison simulates, the scenario's own among them."""
        if self.scenario.rollout is None:
            return ()
        count, own_window = self.scenario.service.instance_count, self.scenario.window_count()
        chosen_windows = [window for window in self._state.windows if window <= count]
        return (
            tuple(sorted({*chosen_windows, own_window}))
            if chosen_windows
            else default_windows(self.scenario).windows
        )

    def cases(self) -> tuple[Case, ...]:
        """Return the cases that a comparison simulates."""
        return cases_of(self.scenario, self.windows())

    def open(self, file: ScenarioFile) -> None:
        """Open another file; nothing of the old one is kept."""
        self._state = DocumentState(file)
        self._set_saved(file)
        self._simulated = self._comparison = self._selected_key = None
        self._keys, self._runs, self._removed = (), (), frozenset()
        self._is_user_choice = False
        self.undo.clear()
        self.opened.emit()
        self.edited.emit()
        self.compared.emit()

    def save(self, path: Path) -> None:
        """Write the scenario to a file.

        Raises:
            UnseenChange: The file is the open one, and another program has changed it since it was
                last read or written.
            BadInput: The path cannot be written, or a trace file cannot be found from there.
        """
        open_path = self._saved.path
        if open_path is not None and is_same_place(path, open_path):
            on_disk = self.read_from_disk()
            if on_disk.state is not DiskState.SAME:
                verb = {
                    DiskState.CHANGED: "was changed by another program",
                    DiskState.GONE: "was deleted by another program",
                    DiskState.UNREADABLE: f"cannot be read: {on_disk.reason}",
                }[on_disk.state]
                raise UnseenChange(f"{path}: is not saved: it {verb}")
        self._set_saved(self._state.file.save(path))
        self._state = replace(self._state, file=self._saved)
        self.undo.setClean()  # a later slider edit must not merge with one from before the save
        self.edited.emit()

    def read_from_disk(self) -> FileOnDisk:
        """Read the open file from disk; a scenario that was never saved counts as unchanged."""
        path = self._saved.path
        if path is None:
            return FileOnDisk(DiskState.SAME, self._saved.text)
        return read_file_on_disk(path, self._known_text)

    def note_unseen_change(self, *, is_there: bool) -> None:
        """Note whether another program's change waits for the user's answer."""
        if is_there != self._has_unseen_change:
            self._has_unseen_change = is_there
            self.edited.emit()

    def acknowledge(self, on_disk: FileOnDisk, file: ScenarioFile | None) -> None:
        """Keep the edited scenario although the file differs; a save may overwrite the file from now on.

        Args:
            on_disk: The file that the user was asked about; a later change is asked about again.
            file: The same file as a scenario; None when it is not one.
        """
        if file is not None:
            self._saved = file
        self._known_text, self._has_unseen_change = on_disk.text, False
        is_edited = file is not None and self.has_edits
        differs = self._state.file.text_to_save != on_disk.text
        # the file differs in comments only, is not a scenario, or is gone
        self._overrules_file = differs and not is_edited
        self.edited.emit()

    def note_reloaded_file(self, file: ScenarioFile) -> None:
        """Take a file that was read again as the saved one; the edit that shows it follows."""
        self._set_saved(file)

    def _set_saved(self, file: ScenarioFile) -> None:
        self._saved, self._known_text = file, file.text
        self._has_unseen_change = self._overrules_file = False

    def state_with(self, values: dict[str, object]) -> DocumentState | None:
        """Return the state with other values; None when they break a rule, which `refused` reports."""
        return self._state_after(lambda: self._state.file.with_values(values))

    def state_with_saved(self, key: str) -> DocumentState | None:
        """Return the state with a key's saved value; None when that breaks a rule, which `refused` reports."""
        return self._state_after(lambda: self._state.file.with_value_of(self._saved, key))

    def _state_after(self, edit: Callable[[], ScenarioFile]) -> DocumentState | None:
        try:
            return replace(self._state, file=edit())
        except BadInput as error:
            self.refused.emit(str(error))
            return None

    def restore(self, state: DocumentState) -> None:
        """Make a state the present one; commands use this to do and undo."""
        # A state from before a save under another name belongs to the file that is open now.
        name = str(state.file.data.get("name") or self._saved.scenario.name)
        scenario = state.file.scenario.model_copy(update={"name": name})
        file = replace(state.file, scenario=scenario, path=self._saved.path)
        self._state = replace(state, file=file)
        self.edited.emit()

    def add_results(self, comparison: Comparison, simulated: DocumentState) -> None:
        """Add results: the first of a comparison, or refined ones."""
        cases = tuple(result.case for result in comparison.candidates)
        if simulated != self._simulated:
            self._is_user_choice = False
        if simulated != self._simulated or cases != self._compared_cases:
            self._keys = tuple(run_key(case.scenario) for case in cases)
            self._compared_cases = cases
        self._comparison, self._simulated = comparison, simulated
        self._runs = merge_results(self._runs, comparison, self._keys, self._removed)
        if not self._is_user_choice or self.current_run is None:
            self._selected_key = self._default_key(comparison)
        self.compared.emit()

    def select(self, index: int) -> None:
        """Select another candidate of the latest comparison."""
        if 0 <= index < len(self._keys):
            self.look_at(self._keys[index])

    def look_at(self, key: str) -> None:
        """Select another run, by its key."""
        if all(run.key != key for run in self._runs):
            return
        self._is_user_choice = True
        if key != self._selected_key:
            self._selected_key = key
            self.selected.emit()

    def change_run(self, key: str, change: Callable[[KeptRun], KeptRun]) -> None:
        """Change a run in the list; commands use this to do and undo."""
        self._runs = tuple(change(run) if run.key == key else run for run in self._runs)
        self.listed.emit()

    def remove_run(self, key: str) -> None:
        """Remove a run from the list; select its neighbour when it was selected."""
        indices = [index for index, run in enumerate(self._runs) if run.key == key]
        if not indices:
            return
        self._removed |= {key}
        self._runs = tuple(run for run in self._runs if run.key != key)
        if self._selected_key == key:
            neighbour_key = (
                self._runs[min(indices[0], len(self._runs) - 1)].key if self._runs else None
            )
            self._selected_key = neighbour_key
            self.selected.emit()
        self.listed.emit()

    def restore_run(self, run: KeptRun, index: int) -> None:
        """List a run again where it was, with the results that arrived meanwhile."""
        self._removed -= {run.key}
        if self._comparison is not None and run.key in self._keys:
            result = self._comparison.candidates[self._keys.index(run.key)]
            control = self._comparison.control_of(result)
            run = replace(run, scenario=result.scenario, result=result, control=control)
        others = [listed for listed in self._runs if listed.key != run.key]
        self._runs = (*others[:index], run, *others[index:])
        if self._selected_key is None:
            self._selected_key = run.key
            self.selected.emit()
        self.listed.emit()

    def _default_key(self, comparison: Comparison) -> str | None:
        """Return the key of the run to select when the user has chosen none.

        That is the comparison's chosen candidate for an unchanged file. After an edit it is the
        scenario's own window, because the user wants to see the effect of the edit.

        Of a file as it was opened that is the chosen candidate; who has moved a slider wants to see
        what that does, so then it is the scenario's own window.
        """
        listed_keys = {run.key for run in self._runs}
        own_window = comparison.scenario.window_count()
        windows = [result.candidate.window for result in comparison.candidates]
        index = comparison.chosen
        if index is None:
            index = comparison.fastest_meeting
        if index is None or (self.is_changed and own_window in windows):
            index = windows.index(own_window) if own_window in windows else 0
        keys = [self._keys[index], *self._keys]
        return next((key for key in keys if key in listed_keys), None)
