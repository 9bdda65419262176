"""What is not saved survives a crash: it is written aside a second after a change, and offered later.

Enters: a document, and which files were open before. Leaves: side files
(`studio.gui.document.unsaved_edits`) while there is something to lose, and a bar that asks what
shall become of those that a crash has left.
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


@dataclass(frozen=True)
class Offer:
    """What a crash has left of a scenario, and the scenario as it was saved."""

    found: UnsavedFile
    saved: ScenarioFile
    state: DocumentState


class Recovery(QObject):
    """Keeps a document's unsaved changes aside, and offers those of a program that has crashed.

    Attributes:
        bar: Where it asks; to be put above the pages.
    """

    failed = Signal(str)
    """Something could not be written or read; in words."""

    def __init__(
        self,
        document: Document,
        show: Callable[[ScenarioFile], object],
        recent: Callable[[], Iterable[Path]] = tuple,
        ask_about_changes_then: Callable[[Callable[[], object]], object] = lambda then: then(),
    ) -> None:
        """Follows a document.

        Args:
            document: What is edited.
            show: Opens a scenario in the place of what is open.
            recent: Files that were open before, which `offer_at_start` looks at too.
            ask_about_changes_then: Does something once it is said what becomes of changes.
        """
        super().__init__(document)
        self._document, self._show, self._recent = document, show, recent
        self._ask_about_changes_then = ask_about_changes_then
        self.bar = Notice("Recovery")
        self._mine: Path | None = None
        self._file, self._windows = document.saved, document.state.windows
        self._skipped: set[Path] = set()
        self._at_start = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(AFTER_MS)
        self._timer.timeout.connect(self.keep)
        document.edited.connect(self._on_edited)

    @property
    def side_file(self) -> Path | None:
        """Where the changes are kept; None while there is nothing to lose, or it was not yet written."""
        return self._mine

    def keep(self) -> None:
        """Writes the changes aside now."""
        self._timer.stop()
        document, (pid, began_s) = self._document, side_files.this_process()
        path = document.state.file.path
        held = SideFile(
            pid=pid,
            began_s=began_s,
            path=None if path is None else str(path.absolute()),
            saved=document.saved.text,
            text=document.state.file.text,
            windows=document.state.windows,
        )
        try:
            self._mine = side_files.write(held, self._mine)
        except BadInput as error:
            self.failed.emit(str(error))

    def clear(self) -> None:
        """There is nothing to lose any more: at a clean end, and when changes are given up."""
        self._timer.stop()
        mine, self._mine = self._mine, None
        if mine is not None:
            self._remove(mine)

    def offer_at_start(self) -> Offer | None:
        """Asks about what a crash has left, of any scenario; otherwise as `offer`."""
        self._at_start = True
        return self.offer()

    def offer(self) -> Offer | None:
        """Asks about what a crash has left of the scenario that was just opened.

        It blocks nothing; the answers are *Recover*, *Open saved*, which gives the changes up, and
        *Skip*, which keeps them for later.

        Returns:
            What is asked about; None when there is nothing.
        """
        offer = next(self._offers(), None)
        if offer is None:
            self._at_start = False
            self.bar.hide()
            return None
        name = offer.saved.scenario.name
        self.bar.ask(
            f"{name} has changes that were not saved when the studio ended"
            + (", and its file was changed since." if self._was_changed_since(offer) else "."),
            [
                ("Recover", "Go on with the changes; they can be undone", lambda: self._take(offer)),
                ("Open saved", "Open the file as it was saved and give the changes up",
                 lambda: self._give_up(offer)),
                ("Skip", "Decide later: they are offered again at the next start",
                 lambda: self._skip(offer)),
            ],
        )  # fmt: skip
        return offer

    # What is written

    def _on_edited(self) -> None:
        document = self._document
        if document.saved is not self._file:  # opened, saved, or another program's text was seen
            self._file, self._windows = document.saved, document.state.windows
            if document.is_changed and self._mine is not None:
                self.keep()  # the side file says what it differs from, and is never missing for a moment
                return
        if document.is_changed or document.state.windows != self._windows:
            if not self._timer.isActive():  # who edits without a rest is kept all the same
                self._timer.start()
        else:
            self.clear()

    # What is offered

    def _offers(self) -> Iterator[Offer]:
        own = self._document.state.file.path
        paths: list[Path | None] = [own] if own is not None else []
        paths += [*self._recent(), None] if self._at_start else []
        for path in dict.fromkeys(paths):
            found, wrong = side_files.find_unsaved(path)
            for words in wrong:
                self.failed.emit(words)
            for one in found:
                if one.place not in self._skipped:
                    offer = self._offer_of(one)
                    if offer is not None:
                        yield offer

    def _offer_of(self, found: UnsavedFile) -> Offer | None:
        """What a side file has to offer; one that says what the file says is of no use any more."""
        held = found.held
        path = None if held.path is None else Path(held.path)
        try:
            try:
                saved = ScenarioFile.parse(held.saved) if path is None else ScenarioFile.load(path)
            except BadInput:  # the file has gone, or is no scenario any more
                saved = ScenarioFile.parse(held.saved, path)
            file = ScenarioFile.parse(held.text, path)
        except RollcastError as error:
            self._skipped.add(found.place)
            self.failed.emit(f"{found.place}: cannot be recovered and is left alone: {error}")
            return None
        if file == saved and not held.windows:
            self._remove(found.place)
            return None
        return Offer(found, saved, DocumentState(file, held.windows))

    def _was_changed_since(self, offer: Offer) -> bool:
        return offer.saved.text != offer.found.held.saved

    def _is_open(self, offer: Offer) -> bool:
        path, own = offer.saved.path, self._document.state.file.path
        return path is not None and own is not None and path.absolute() == own.absolute()

    def _take(self, offer: Offer) -> None:
        if self._is_open(offer):
            self._put_in(offer)
            return
        self.offer()  # it stands until it is said what becomes of what is open

        def then() -> None:
            self._show(offer.saved)
            self._put_in(offer)

        self._ask_about_changes_then(then)

    def _put_in(self, offer: Offer) -> None:
        edit_state(self._document, "recovered changes", offer.state)
        self.keep()
        if self._mine not in (None, offer.found.place):  # now it is kept twice
            self._remove(offer.found.place)
        self.offer()

    def _give_up(self, offer: Offer) -> None:
        self._remove(offer.found.place)
        self.offer()
        is_untitled = offer.saved.path is None and self._document.state.file.path is None
        if not is_untitled and not self._is_open(offer):
            self._ask_about_changes_then(lambda: self._show(offer.saved))

    def _skip(self, offer: Offer) -> None:
        self._skipped.add(offer.found.place)
        self.offer()

    def _remove(self, place: Path) -> None:
        try:
            place.unlink(missing_ok=True)
        except OSError as error:
            self.failed.emit(f"{place}: cannot be removed: {error.strerror}")
