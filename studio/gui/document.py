"""What is open: the only truth in the studio.

Widgets ask commands to change it and hear from its signals that it changed; it knows none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QUndoStack

from executor.errors import BadInput
from simulation.candidates import Candidate, candidates_of, default_windows
from simulation.compare import CandidateResult, Comparison
from simulation.scenario import Objectives, Scenario
from simulation.scenario_file import ScenarioFile


@dataclass(frozen=True)
class State:
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
    """Another candidate is looked at."""
    refused = Signal(str)
    """An edit broke a rule; the words say which."""

    def __init__(self, file: ScenarioFile) -> None:
        super().__init__()
        self.undo = QUndoStack(self)
        self._state = State(file)
        self._saved = file
        self._simulated: State | None = None
        self._comparison: Comparison | None = None
        self._selection: int | None = None
        self._chosen_by_hand = False

    @property
    def state(self) -> State:
        """What is edited now."""
        return self._state

    @property
    def scenario(self) -> Scenario:
        """The scenario as it stands."""
        return self._state.file.scenario

    @property
    def saved(self) -> ScenarioFile:
        """The file as it was opened or saved last."""
        return self._saved

    @property
    def is_changed(self) -> bool:
        """Whether there is something to save."""
        return self._state.file != self._saved

    @property
    def comparison(self) -> Comparison | None:
        """The latest results, None before the first have landed."""
        return self._comparison

    @property
    def is_stale(self) -> bool:
        """Whether the results are of another scenario than the one that stands here."""
        return self._simulated is not None and self._simulated != self._state

    @property
    def selection(self) -> int | None:
        """The candidate that is looked at."""
        return self._selection

    @property
    def selected_result(self) -> CandidateResult | None:
        """Its result."""
        if self._comparison is None or self._selection is None:
            return None
        return self._comparison.candidates[self._selection]

    def comparison_objectives(self) -> Objectives:
        """The limits that the results were judged by."""
        return (self._comparison.scenario if self._comparison else self.scenario).objectives

    def compared_instances(self) -> int:
        """How many instances there are in the results, in all services together."""
        scenario = self._comparison.scenario if self._comparison else self.scenario
        return sum(service.instance_count for service in scenario.services.values())

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
        self._state, self._saved = State(file), file
        self._simulated = self._comparison = self._selection = None
        self._chosen_by_hand = False
        self.undo.clear()
        self.opened.emit()
        self.edited.emit()
        self.compared.emit()

    def save(self, path: Path) -> None:
        """Writes the scenario.

        Raises:
            BadInput: The path cannot be written, or a trace is not to be found from there.
        """
        self._saved = self._state.file.save(path)
        self._state = replace(self._state, file=self._saved)
        self.undo.setClean()  # a slider's edits do not merge with those before
        self.edited.emit()

    def edited_with(self, values: dict[str, object]) -> State | None:
        """The state with other values at some keys; None when they break a rule, which is told."""
        return self._edited(lambda: self._state.file.with_values(values))

    def reset_at(self, key: str) -> State | None:
        """The state with a key as it was saved; None when that breaks a rule, which is told."""
        return self._edited(lambda: self._state.file.with_value_of(self._saved, key))

    def _edited(self, edit: Callable[[], ScenarioFile]) -> State | None:
        try:
            return replace(self._state, file=edit())
        except BadInput as error:
            self.refused.emit(str(error))
            return None

    def restore(self, state: State) -> None:
        """Makes a state the present one: what commands do and undo."""
        # A state from before a save elsewhere belongs to the file that is open now.
        scenario = state.file.scenario.model_copy(update={"name": self._saved.scenario.name})
        file = replace(state.file, scenario=scenario, path=self._saved.path)
        self._state = replace(state, file=file)
        self.edited.emit()

    def land(self, comparison: Comparison, simulated: State) -> None:
        """Takes in results, the first of a run or refined ones."""
        is_first = simulated != self._simulated
        self._comparison, self._simulated = comparison, simulated
        if is_first:
            self._chosen_by_hand = False
        if not self._chosen_by_hand or self._selection is None:
            self._selection = self._own_choice(comparison)
        self.compared.emit()

    def select(self, index: int) -> None:
        """Looks at another candidate."""
        if self._comparison is None or not 0 <= index < len(self._comparison.candidates):
            return
        self._chosen_by_hand = True
        if index != self._selection:
            self._selection = index
            self.selected.emit()

    def _own_choice(self, comparison: Comparison) -> int:
        """The chosen candidate, else the scenario's own window."""
        if comparison.chosen is not None:
            return comparison.chosen
        own = comparison.scenario.window_count()
        windows = [result.candidate.window for result in comparison.candidates]
        return windows.index(own) if own in windows else 0
