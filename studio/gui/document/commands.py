"""Edits that can be undone: each command replaces the document's state by another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtGui import QUndoCommand

from simulation.scenario.file import ScenarioFile
from studio.gui.document.document import Document, DocumentState
from studio.gui.document.runs import MOST_SIDE_BY_SIDE, KeptRun


class Edit(QUndoCommand):
    """One edit; consecutive edits of one field by a slider merge into one."""

    _ids: dict[str, int] = {}  # noqa: RUF012 - field names in the order of their first edit

    def __init__(self, document: Document, field: str, words: str, after: DocumentState) -> None:
        super().__init__(words)
        self._document = document
        self._field = field  # empty for an edit that never merges
        self._before = document.state
        self._after = after

    def id(self) -> int:
        """Return the number of the field: Qt merges consecutive edits with the same number."""
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
    """Edit values of the scenario; return whether they were accepted.

    Args:
        document: The edited document.
        words: The name of the edit in the undo menu.
        values: The new values by key.
        slides: Whether a slider sends this edit while it moves.
    """
    field = next(iter(values)) if slides else ""
    return _push(document, field, words, document.state_with(values))


def reset_value(document: Document, words: str, key: str, *, slides: bool = False) -> bool:
    """Set a value of the scenario back to the saved one; otherwise as `edit_values`."""
    return _push(document, key if slides else "", words, document.state_with_saved(key))


def reset_everything(document: Document) -> None:
    """Set every value back to the saved one."""
    _push(document, "", "reset all values", DocumentState(document.saved))


def edit_windows(document: Document, windows: tuple[int, ...]) -> None:
    """Choose which windows are compared."""
    _push(document, "", "windows to compare", DocumentState(document.state.file, windows))


def edit_state(document: Document, words: str, after: DocumentState) -> None:
    """Replace the whole state."""
    _push(document, "", words, after)


def reload_file(document: Document, file: ScenarioFile) -> None:
    """Show the file as another program has written it; one undo brings the edited scenario back.

    The undo step is added even where both scenarios are equal: the texts may differ in comments,
    and a further undo brings the old text back.
    """
    document.note_reloaded_file(file)
    after = DocumentState(file, document.state.windows)
    document.undo.push(Edit(document, "", "reload from disk", after))


def _push(document: Document, field: str, words: str, after: DocumentState | None) -> bool:
    if after is not None and after != document.state:
        document.undo.push(Edit(document, field, words, after))
    return after is not None


class _ChangeRun(QUndoCommand):
    """A change of a run in the list: name, comparison or baseline."""

    def __init__(
        self, document: Document, words: str, before: KeptRun, change: Callable[[KeptRun], KeptRun]
    ) -> None:
        super().__init__(words)
        self._document, self._before, self._change = document, before, change

    def redo(self) -> None:
        self._document.change_run(self._before.key, self._change)

    def undo(self) -> None:
        before = self._before
        values = {
            name: getattr(before, name)
            for name in ("name", "is_named", "is_compared", "is_baseline")
        }
        self._document.change_run(before.key, lambda run: replace(run, **values))


class _RemoveRun(QUndoCommand):
    """The removal of a run from the list."""

    def __init__(self, document: Document, run: KeptRun) -> None:
        super().__init__(f"remove {run.name}")
        self._document, self._run = document, run
        self._index = document.runs.index(run)

    def redo(self) -> None:
        self._document.remove_run(self._run.key)

    def undo(self) -> None:
        self._document.restore_run(self._run, self._index)


def rename_run(document: Document, run: KeptRun, name: str) -> None:
    """Rename a run; an empty name changes nothing."""
    if name.strip() and name.strip() != run.name:
        change = _ChangeRun(
            document,
            f"rename {run.name}",
            run,
            lambda renamed: replace(renamed, name=name.strip(), is_named=True),
        )
        document.undo.push(change)


def compare_run(document: Document, run: KeptRun, is_compared: bool) -> None:
    """Show a run in *Compare*, or hide it; a fifth run is refused."""
    shown_keys = {listed.key for listed in document.side_by_side}
    chosen_runs = [
        listed for listed in document.runs if listed.is_compared and listed.key != run.key
    ]
    is_automatic = all(listed.is_compared is None for listed in document.runs)
    shown_count = len(shown_keys - {run.key}) if is_automatic else len(chosen_runs)
    if is_compared and shown_count >= MOST_SIDE_BY_SIDE:
        document.refused.emit("Compare shows four runs: take one of them out first")
        return
    document.undo.beginMacro(f"{'show' if is_compared else 'hide'} {run.name} in Compare")
    if is_automatic:
        for listed in document.runs:  # runs that were shown automatically stay
            if listed.key in shown_keys and listed.key != run.key:
                document.undo.push(_ChangeRun(document, "", listed, _with_compared(True)))
    document.undo.push(_ChangeRun(document, "", run, _with_compared(is_compared)))
    document.undo.endMacro()


def set_baseline(document: Document, run: KeptRun) -> None:
    """Make a run the baseline of the runs in *Compare*."""
    changed_runs = [
        listed for listed in document.runs if listed.is_baseline != (listed.key == run.key)
    ]
    if not changed_runs:
        return
    document.undo.beginMacro(f"make {run.name} the baseline")
    for listed in changed_runs:
        document.undo.push(_ChangeRun(document, "", listed, _with_baseline(listed.key == run.key)))
    document.undo.endMacro()


def remove_run(document: Document, run: KeptRun) -> None:
    """Remove a run from the list."""
    document.undo.push(_RemoveRun(document, run))


def _with_compared(value: bool) -> Callable[[KeptRun], KeptRun]:
    return lambda run: replace(run, is_compared=value)


def _with_baseline(value: bool) -> Callable[[KeptRun], KeptRun]:
    return lambda run: replace(run, is_baseline=value)
