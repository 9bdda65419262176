"""Edits that can be undone: a command swaps one state of the document for another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtGui import QUndoCommand

from simulation.scenario.file import ScenarioFile
from studio.gui.document.document import Document, DocumentState
from studio.gui.document.runs import MOST_SIDE_BY_SIDE, KeptRun


class Edit(QUndoCommand):
    """One edit of one field; what a slider does to it in a row is one edit."""

    _ids: dict[str, int] = {}  # noqa: RUF012 - field names in the order they were first edited

    def __init__(self, document: Document, field: str, words: str, after: DocumentState) -> None:
        super().__init__(words)
        self._document = document
        self._field = field  # empty where an edit stands alone
        self._before = document.state
        self._after = after

    def id(self) -> int:
        """What makes two edits the same to Qt: their field."""
        return self._ids.setdefault(self._field, len(self._ids) + 1) if self._field else -1

    def redo(self) -> None:
        self._document.restore(self._after)

    def undo(self) -> None:
        self._document.restore(self._before)

    def mergeWith(self, other: QUndoCommand) -> bool:
        if not isinstance(other, Edit) or other._field != self._field:
            return False
        self._after = other._after
        self.setText(other.text())
        self.setObsolete(self._after == self._before)
        return True


def edit_values(
    document: Document, words: str, values: dict[str, object], *, slides: bool = False
) -> bool:
    """Edits values of the scenario; says whether they were accepted.

    Args:
        document: What is edited.
        words: What the edit is called when it is undone.
        values: The new ones by key.
        slides: Whether this is one of the many edits of a slider on its way.
    """
    field = next(iter(values)) if slides else ""
    return _push(document, field, words, document.state_with(values))


def reset_value(document: Document, words: str, key: str, *, slides: bool = False) -> bool:
    """Gives a value of the scenario back what the saved file says; otherwise as `edit_values`."""
    return _push(document, key if slides else "", words, document.state_with_saved(key))


def reset_everything(document: Document) -> None:
    """Gives every value back what the saved file says."""
    _push(document, "", "reset all values", DocumentState(document.saved))


def edit_windows(document: Document, windows: tuple[int, ...]) -> None:
    """Edits which windows are compared."""
    _push(document, "", "windows to compare", DocumentState(document.state.file, windows))


def edit_state(document: Document, words: str, after: DocumentState) -> None:
    """Edits everything at once."""
    _push(document, "", words, after)


def reload_file(document: Document, file: ScenarioFile) -> None:
    """Show the file as another program has written it; what stood here is one undo away.

    The step is there even where both say the same: its text may have other comments, and an undo
    beyond it brings the old text back.
    """
    document.note_reloaded_file(file)
    after = DocumentState(file, document.state.windows)
    document.undo.push(Edit(document, "", "reload from disk", after))


def _push(document: Document, field: str, words: str, after: DocumentState | None) -> bool:
    if after is not None and after != document.state:
        document.undo.push(Edit(document, field, words, after))
    return after is not None


class _ChangeRun(QUndoCommand):
    """One change of how a run is listed."""

    def __init__(
        self, document: Document, words: str, before: KeptRun, change: Callable[[KeptRun], KeptRun]
    ) -> None:
        super().__init__(words)
        self._document, self._before, self._change = document, before, change

    def redo(self) -> None:
        self._document.change_run(self._before.key, self._change)

    def undo(self) -> None:
        before = self._before
        back = {
            name: getattr(before, name)
            for name in ("name", "is_named", "is_compared", "is_baseline")
        }
        self._document.change_run(before.key, lambda run: replace(run, **back))


class _RemoveRun(QUndoCommand):
    """A run taken off the list."""

    def __init__(self, document: Document, run: KeptRun) -> None:
        super().__init__(f"remove {run.name}")
        self._document, self._run = document, run
        self._place = document.runs.index(run)

    def redo(self) -> None:
        self._document.remove_run(self._run.key)

    def undo(self) -> None:
        self._document.restore_run(self._run, self._place)


def rename_run(document: Document, run: KeptRun, name: str) -> None:
    """Calls a run something else; an empty name changes nothing."""
    if name.strip() and name.strip() != run.name:
        change = _ChangeRun(
            document,
            f"rename {run.name}",
            run,
            lambda one: replace(one, name=name.strip(), is_named=True),
        )
        document.undo.push(change)


def compare_run(document: Document, run: KeptRun, is_compared: bool) -> None:
    """Puts a run into *Compare*, or takes it out; one too many is refused."""
    shown = {one.key for one in document.side_by_side}
    asked = [one for one in document.runs if one.is_compared and one.key != run.key]
    by_itself = all(one.is_compared is None for one in document.runs)
    full = len(shown - {run.key}) if by_itself else len(asked)
    if is_compared and full >= MOST_SIDE_BY_SIDE:
        document.refused.emit("Compare shows four runs: take one of them out first")
        return
    document.undo.beginMacro(f"{'show' if is_compared else 'hide'} {run.name} in Compare")
    if by_itself:
        for one in document.runs:  # what is there by itself stays there
            if one.key in shown and one.key != run.key:
                document.undo.push(_ChangeRun(document, "", one, _compared(True)))
    document.undo.push(_ChangeRun(document, "", run, _compared(is_compared)))
    document.undo.endMacro()


def set_baseline(document: Document, run: KeptRun) -> None:
    """Has the runs in *Compare* measured by another one."""
    changing = [one for one in document.runs if one.is_baseline != (one.key == run.key)]
    if not changing:
        return
    document.undo.beginMacro(f"measure by {run.name}")
    for one in changing:
        document.undo.push(_ChangeRun(document, "", one, _baseline(one.key == run.key)))
    document.undo.endMacro()


def remove_run(document: Document, run: KeptRun) -> None:
    """Takes a run off the list."""
    document.undo.push(_RemoveRun(document, run))


def _compared(value: bool) -> Callable[[KeptRun], KeptRun]:
    return lambda run: replace(run, is_compared=value)


def _baseline(value: bool) -> Callable[[KeptRun], KeptRun]:
    return lambda run: replace(run, is_baseline=value)
