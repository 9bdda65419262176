"""Recovery after a crash: edits are written to a side file a second after a change, and offered later.

A side file (`studio.gui.document.unsaved_edits`) exists while there are unsaved edits. A bar asks
what to do with the side files that a crash has left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from executor.base.errors import BadInput, RollcastError
from simulation.scenario.file import ScenarioFile
from studio.gui.document import unsaved_edits as side_files
from studio.gui.document.commands import edit_state
from studio.gui.document.document import Document, DocumentState
from studio.gui.document.unsaved_edits import SideFile, UnsavedFile
from studio.gui.widgets.notice import Notice

AFTER_MS = 1000
"""A change is written to the side file after this time, in milliseconds."""


@dataclass(frozen=True)
class Offer:
    """The unsaved edits that a crash has left of a scenario, and the scenario as it was saved."""

    unsaved: UnsavedFile
    saved: ScenarioFile
    state: DocumentState


class Recovery(QObject):
    """The side file of a document's unsaved edits, and the offer of those of a crashed program.

    Attributes:
        bar: The bar that asks; the window puts it above the pages.
    """

    failed = Signal(str)
    """A file cannot be written or read; the argument is the reason."""

    def __init__(
        self,
        document: Document,
        show: Callable[[ScenarioFile], object],
        recent: Callable[[], Iterable[Path]] = tuple,
        ask_about_changes_then: Callable[[Callable[[], object]], object] = lambda then: then(),
    ) -> None:
        """Follow a document.

        Args:
            document: The edited document.
            show: Replaces the open scenario by another.
            recent: Returns recently opened files, which `offer_at_start` searches too.
            ask_about_changes_then: Calls a function after asking about unsaved changes.
        """
        super().__init__(document)
        self._document, self._show, self._recent = document, show, recent
        self._ask_about_changes_then = ask_about_changes_then
        self.bar = Notice("Recovery")
        self._side_file: Path | None = None
        self._file, self._windows = document.saved, document.state.windows
        self._skipped: set[Path] = set()
        self._searches_recent = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(AFTER_MS)
        self._timer.timeout.connect(self.keep)
        document.edited.connect(self._on_edited)

    @property
    def side_file(self) -> Path | None:
        """The side file of this document; None while there are no edits, or before it is written."""
        return self._side_file

    def keep(self) -> None:
        """Write the edits to the side file now."""
        self._timer.stop()
        document, (pid, began_s) = self._document, side_files.this_process()
        path = document.state.file.path
        side_file = SideFile(
            pid=pid,
            began_s=began_s,
            path=None if path is None else str(path.absolute()),
            saved=document.saved.text,
            text=document.state.file.text,
            windows=document.state.windows,
        )
        try:
            self._side_file = side_files.write(side_file, self._side_file)
        except BadInput as error:
            self.failed.emit(str(error))

    def clear(self) -> None:
        """Remove the side file: there are no unsaved edits any more, or the user has discarded them."""
        self._timer.stop()
        side_file, self._side_file = self._side_file, None
        if side_file is not None:
            self._remove(side_file)

    def offer_at_start(self) -> Offer | None:
        """Offer the edits that a crash has left of any scenario; otherwise as `offer`."""
        self._searches_recent = True
        return self.offer()

    def offer(self) -> Offer | None:
        """Offer the edits that a crash has left of the open scenario.

        The bar blocks nothing. Its answers are *Recover*, *Open saved*, which discards the edits,
        and *Skip*, which keeps them for the next start.

        Returns:
            The offer; None when a crash has left nothing.
        """
        offer = next(self._offers(), None)
        if offer is None:
            self._searches_recent = False
            self.bar.hide()
            return None
        name = offer.saved.scenario.name
        self.bar.ask(
            f"{name} has changes that were not saved when the studio ended"
            + (", and its file was changed since." if self._was_changed_since(offer) else "."),
            [
                ("Recover", "Continue with the changes; Undo takes them back", lambda: self._on_recover(offer)),
                ("Open saved", "Open the file as it was saved and discard the changes",
                 lambda: self._on_open_saved(offer)),
                ("Skip", "Decide later: the changes are offered again at the next start",
                 lambda: self._on_skip(offer)),
            ],
        )  # fmt: skip
        return offer

    # The side file

    def _on_edited(self) -> None:
        document = self._document
        # the document was opened, saved, or reloaded from disk
        if document.saved is not self._file:
            self._file, self._windows = document.saved, document.state.windows
            if document.is_changed and self._side_file is not None:
                self.keep()  # rewrite the side file with its new base, so that it is never missing
                return
        if document.is_changed or document.state.windows != self._windows:
            # no restart: continuous editing must not postpone the write
            if not self._timer.isActive():
                self._timer.start()
        else:
            self.clear()

    # Offers

    def _offers(self) -> Iterator[Offer]:
        own = self._document.state.file.path
        paths: list[Path | None] = [own] if own is not None else []
        paths += [*self._recent(), None] if self._searches_recent else []
        for path in dict.fromkeys(paths):
            unsaved, reasons = side_files.find_unsaved(path)
            for reason in reasons:
                self.failed.emit(reason)
            for unsaved_file in unsaved:
                if unsaved_file.path not in self._skipped:
                    offer = self._offer_of(unsaved_file)
                    if offer is not None:
                        yield offer

    def _offer_of(self, unsaved: UnsavedFile) -> Offer | None:
        """Return the offer of a side file; None, and remove it, when it equals the saved file."""
        side_file = unsaved.side_file
        path = None if side_file.path is None else Path(side_file.path)
        try:
            try:
                saved = (
                    ScenarioFile.parse(side_file.saved) if path is None else ScenarioFile.load(path)
                )
            except BadInput:  # the file is missing, or is not a scenario any more
                saved = ScenarioFile.parse(side_file.saved, path)
            file = ScenarioFile.parse(side_file.text, path)
        except RollcastError as error:
            self._skipped.add(unsaved.path)
            self.failed.emit(f"{unsaved.path}: cannot be recovered and is left alone: {error}")
            return None
        if file == saved and not side_file.windows:
            self._remove(unsaved.path)
            return None
        return Offer(unsaved, saved, DocumentState(file, side_file.windows))

    def _was_changed_since(self, offer: Offer) -> bool:
        return offer.saved.text != offer.unsaved.side_file.saved

    def _is_open(self, offer: Offer) -> bool:
        path, own = offer.saved.path, self._document.state.file.path
        return path is not None and own is not None and path.absolute() == own.absolute()

    def _on_recover(self, offer: Offer) -> None:
        if self._is_open(offer):
            self._apply(offer)
            return
        self.offer()  # the bar stays until the user has decided about the open scenario

        def open_and_apply() -> None:
            self._show(offer.saved)
            self._apply(offer)

        self._ask_about_changes_then(open_and_apply)

    def _apply(self, offer: Offer) -> None:
        edit_state(self._document, "recovered changes", offer.state)
        self.keep()
        if self._side_file not in (None, offer.unsaved.path):  # the edits are now in two side files
            self._remove(offer.unsaved.path)
        self.offer()

    def _on_open_saved(self, offer: Offer) -> None:
        self._remove(offer.unsaved.path)
        self.offer()
        is_untitled = offer.saved.path is None and self._document.state.file.path is None
        if not is_untitled and not self._is_open(offer):
            self._ask_about_changes_then(lambda: self._show(offer.saved))

    def _on_skip(self, offer: Offer) -> None:
        self._skipped.add(offer.unsaved.path)
        self.offer()

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self.failed.emit(f"{path}: cannot be removed: {error.strerror}")
