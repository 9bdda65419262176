"""What is open: the only truth in the studio.

Widgets ask commands to change it and hear from its signals that it changed; it knows none of them.
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
from simulation.study.candidates import Candidate, candidates_of, default_windows
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
    from simulation.study.compare import CandidateResult, Comparison


@dataclass(frozen=True)
class DocumentState:
    """What can be edited, and so undone.

    Attributes:
        file: The scenario with its text.
        windows: Which windows to compare; empty for those that suit the fleet.
    """

    file: ScenarioFile
    windows: tuple[int, ...] = ()


class Document(QObject):
    """A scenario, what has been simulated of it, and which candidate is looked at."""

    edited = Signal()
    """The scenario, or the windows to compare, are other than they were."""
    opened = Signal()
    """Another file is open."""
    compared = Signal()
    """There are other results."""
    selected = Signal()
    """Another run is looked at."""
    listed = Signal()
    """A run was renamed, removed, put into *Compare* or taken out of it."""
    refused = Signal(str)
    """An edit broke a rule; the words say which."""

    def __init__(self, file: ScenarioFile) -> None:
        super().__init__()
        self.undo = QUndoStack(self)
        self._state = DocumentState(file)
        self._saved = file
        self._known_text: str | None = file.text
        self._has_unseen_change = self._is_kept_over = False
        self._simulated: DocumentState | None = None
        self._comparison: Comparison | None = None
        self._keys: tuple[str, ...] = ()
        self._compared: tuple[Candidate, ...] = ()
        self._runs: tuple[KeptRun, ...] = ()
        self._removed: frozenset[str] = frozenset()
        self._looked_at: str | None = None
        self._chosen_by_hand = False
        self._estimate: tuple[DocumentState, Estimate | None] | None = None

    @property
    def state(self) -> DocumentState:
        """What is edited now."""
        return self._state

    @property
    def scenario(self) -> Scenario:
        """The scenario as it stands."""
        return self._state.file.scenario

    @property
    def saved(self) -> ScenarioFile:
        """The file as it was opened, saved, or last seen on disk."""
        return self._saved

    @property
    def has_edits(self) -> bool:
        """Whether the fields say something else than the file did when it was last seen."""
        return self._state.file != self._saved

    @property
    def is_changed(self) -> bool:
        """Whether there is something to save: edits, or a file that no longer holds what stands here."""
        return self.has_edits or self._has_unseen_change or self._is_kept_over

    @property
    def comparison(self) -> Comparison | None:
        """The latest results, None before the first have landed."""
        return self._comparison

    @property
    def is_stale(self) -> bool:
        """Whether the results are of another scenario than the one that stands here."""
        return self._simulated is not None and self._simulated != self._state

    def has_results_of(self, state: DocumentState) -> bool:
        """Whether the results are of a state, be it of some runs only."""
        return self._simulated == state

    @property
    def is_simulated(self) -> bool:
        """Whether there are results of all runs of every candidate of what stands here."""
        found = self._comparison
        return (
            found is not None
            and self.has_results_of(self._state)
            and self._compared == self.candidates()
            and all(len(one.runs) >= self.scenario.replications for one in found.candidates)
        )

    @property
    def runs(self) -> tuple[KeptRun, ...]:
        """What was simulated and is kept, in the order in which it is listed."""
        return self._runs

    @property
    def current_run(self) -> KeptRun | None:
        """The run that every page shows; None before the first results."""
        return next((run for run in self._runs if run.key == self._looked_at), None)

    @property
    def side_by_side(self) -> tuple[KeptRun, ...]:
        """The runs that *Compare* shows, four at most."""
        return side_by_side(self._runs, self._looked_at)

    @property
    def selection(self) -> int | None:
        """Which candidate of the latest comparison is looked at; None when it is an older run."""
        return self._keys.index(self._looked_at) if self._looked_at in self._keys else None

    def runs_of_comparison(self) -> tuple[KeptRun | None, ...]:
        """The latest comparison's candidates as they are listed, in its order; None for a removed one."""
        listed = {run.key: run for run in self._runs}
        return tuple(listed.get(key) for key in self._keys)

    @property
    def selected_result(self) -> CandidateResult | None:
        """The result of what is looked at."""
        run = self.current_run
        return None if run is None else run.result

    @property
    def estimate(self) -> Estimate | None:
        """What the scenario as it stands would do, by closed forms; None when it cannot be rolled."""
        if self._estimate is None or self._estimate[0] != self._state:
            from simulation.estimates.estimate import estimate  # noqa: PLC0415 - the first window does not need it

            try:
                found: Estimate | None = estimate(self.scenario)
            except BadInput:
                found = None
            self._estimate = (self._state, found)
        return self._estimate[1]

    def windows(self) -> tuple[int, ...]:
        """The windows that a comparison takes, the scenario's own among them."""
        if self.scenario.rollout is None:
            return ()
        count, own = self.scenario.service.instance_count, self.scenario.window_count()
        listed = [window for window in self._state.windows if window <= count]
        return tuple(sorted({*listed, own})) if listed else default_windows(self.scenario)

    def candidates(self) -> tuple[Candidate, ...]:
        """What a comparison of the document simulates."""
        return candidates_of(self.scenario, self.windows())

    def open(self, file: ScenarioFile) -> None:
        """Another file takes the place of this one; nothing of the old one is kept."""
        self._state = DocumentState(file)
        self._take_saved(file)
        self._simulated = self._comparison = self._looked_at = None
        self._keys, self._runs, self._removed = (), (), frozenset()
        self._chosen_by_hand = False
        self.undo.clear()
        self.opened.emit()
        self.edited.emit()
        self.compared.emit()

    def save(self, path: Path) -> None:
        """Writes the scenario.

        Raises:
            UnseenChange: It is the file that is open, and another program has changed it since it was
                read, written or looked at.
            BadInput: The path cannot be written, or a trace is not to be found from there.
        """
        own = self._saved.path
        if own is not None and is_same_place(path, own):
            on_disk = self.read_from_disk()
            if on_disk.state is not DiskState.SAME:
                verb = {
                    DiskState.CHANGED: "was changed by another program",
                    DiskState.GONE: "was deleted by another program",
                    DiskState.UNREADABLE: f"cannot be read: {on_disk.reason}",
                }[on_disk.state]
                raise UnseenChange(f"{path}: is not saved: it {verb}")
        self._take_saved(self._state.file.save(path))
        self._state = replace(self._state, file=self._saved)
        self.undo.setClean()  # a slider's edits do not merge with those before
        self.edited.emit()

    def read_from_disk(self) -> FileOnDisk:
        """Read the file that is open; one that was never saved is as it is known to be."""
        path = self._saved.path
        if path is None:
            return FileOnDisk(DiskState.SAME, self._saved.text)
        return read_file_on_disk(path, self._known_text)

    def note_unseen_change(self, *, is_there: bool) -> None:
        """Note whether the file on disk holds something that is asked about and not answered yet."""
        if is_there != self._has_unseen_change:
            self._has_unseen_change = is_there
            self.edited.emit()

    def acknowledge(self, on_disk: FileOnDisk, file: ScenarioFile | None) -> None:
        """Keep what stands here although the file says something else: a save may write over it now.

        Args:
            on_disk: What the person was told of; a later change is asked about again.
            file: The same as a scenario; None where it is none.
        """
        if file is not None:
            self._saved = file
        self._known_text, self._has_unseen_change = on_disk.text, False
        is_told_by_edits = file is not None and self.has_edits
        differs = self._state.file.text_to_save != on_disk.text
        self._is_kept_over = differs and not is_told_by_edits  # other comments, no scenario, gone
        self.edited.emit()

    def note_reloaded_file(self, file: ScenarioFile) -> None:
        """Take a file as it was read anew for the saved one; the edit that shows it follows."""
        self._take_saved(file)

    def _take_saved(self, file: ScenarioFile) -> None:
        self._saved, self._known_text = file, file.text
        self._has_unseen_change = self._is_kept_over = False

    def state_with(self, values: dict[str, object]) -> DocumentState | None:
        """The state with other values at some keys; None when they break a rule, which is told."""
        return self._edited(lambda: self._state.file.with_values(values))

    def state_with_saved(self, key: str) -> DocumentState | None:
        """The state with a key as it was saved; None when that breaks a rule, which is told."""
        return self._edited(lambda: self._state.file.with_value_of(self._saved, key))

    def _edited(self, edit: Callable[[], ScenarioFile]) -> DocumentState | None:
        try:
            return replace(self._state, file=edit())
        except BadInput as error:
            self.refused.emit(str(error))
            return None

    def restore(self, state: DocumentState) -> None:
        """Makes a state the present one: what commands do and undo."""
        # A state from before a save elsewhere belongs to the file that is open now.
        name = str(state.file.data.get("name") or self._saved.scenario.name)
        scenario = state.file.scenario.model_copy(update={"name": name})
        file = replace(state.file, scenario=scenario, path=self._saved.path)
        self._state = replace(state, file=file)
        self.edited.emit()

    def add_results(self, comparison: Comparison, simulated: DocumentState) -> None:
        """Takes in results, the first of a run or refined ones."""
        candidates = tuple(one.candidate for one in comparison.candidates)
        if simulated != self._simulated:
            self._chosen_by_hand = False
        if simulated != self._simulated or candidates != self._compared:
            self._keys = tuple(run_key(comparison.scenario, one) for one in candidates)
            self._compared = candidates
        self._comparison, self._simulated = comparison, simulated
        self._runs = merge_results(self._runs, comparison, self._keys, self._removed)
        if not self._chosen_by_hand or self.current_run is None:
            self._looked_at = self._own_choice(comparison)
        self.compared.emit()

    def select(self, index: int) -> None:
        """Looks at another candidate of the latest comparison."""
        if 0 <= index < len(self._keys):
            self.look_at(self._keys[index])

    def look_at(self, key: str) -> None:
        """Looks at another run."""
        if all(run.key != key for run in self._runs):
            return
        self._chosen_by_hand = True
        if key != self._looked_at:
            self._looked_at = key
            self.selected.emit()

    def change_run(self, key: str, changed: Callable[[KeptRun], KeptRun]) -> None:
        """Changes how a run is listed: what commands do and undo."""
        self._runs = tuple(changed(run) if run.key == key else run for run in self._runs)
        self.listed.emit()

    def remove_run(self, key: str) -> None:
        """Takes a run off the list; another is looked at when it was this one."""
        places = [place for place, run in enumerate(self._runs) if run.key == key]
        if not places:
            return
        self._removed |= {key}
        self._runs = tuple(run for run in self._runs if run.key != key)
        if self._looked_at == key:
            near = self._runs[min(places[0], len(self._runs) - 1)].key if self._runs else None
            self._looked_at = near
            self.selected.emit()
        self.listed.emit()

    def restore_run(self, run: KeptRun, place: int) -> None:
        """Lists a run again where it was, with what has been simulated of it meanwhile."""
        self._removed -= {run.key}
        if self._comparison is not None and run.key in self._keys:
            found = self._comparison.candidates[self._keys.index(run.key)]
            applied = found.candidate.apply_to(self._comparison.scenario)
            run = replace(run, scenario=applied, result=found)
        others = [one for one in self._runs if one.key != run.key]
        self._runs = (*others[:place], run, *others[place:])
        if self._looked_at is None:
            self._looked_at = run.key
            self.selected.emit()
        self.listed.emit()

    def _own_choice(self, comparison: Comparison) -> str | None:
        """What to look at where nobody has chosen: of what is listed.

        Of a file as it was opened that is the chosen candidate; who has moved a slider wants to see
        what that does, so then it is the scenario's own window.
        """
        listed = {run.key for run in self._runs}
        own = comparison.scenario.window_count()
        windows = [result.candidate.window for result in comparison.candidates]
        wanted = comparison.chosen
        if wanted is None or (self.is_changed and own in windows):
            wanted = windows.index(own) if own in windows else 0
        keys = [self._keys[wanted], *self._keys]
        return next((key for key in keys if key in listed), None)
