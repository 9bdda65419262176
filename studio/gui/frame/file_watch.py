"""Watch the scenario's file, and ask what becomes of it when another program changes or deletes it.

A file that has no edits here is read anew by itself, as one step that can be undone. Otherwise a
bar asks: reload, keep what stands here, or look at the difference first. `Document.save` refuses
until it is answered.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QFileSystemWatcher, QObject, QTimer, Signal

from executor.base.errors import BadInput
from simulation.scenario.file import ScenarioFile
from studio.gui.document.commands import reload_file
from studio.gui.document.document import Document
from studio.gui.document.on_disk import DiskState, FileOnDisk, unified_difference
from studio.gui.widgets.dialogs import show_text
from studio.gui.widgets.notice import Notice, NoticeAction

SETTLES_MS = 100
"""Editors write in several steps (truncate, write, rename): look once they are through."""


class FileWatch(QObject):
    """Compares the document's file with what is known of it, whenever it may have changed.

    Attributes:
        bar: Where it asks; to be put above the pages.
    """

    reported = Signal(str)
    """The file was read anew."""
    failed = Signal(str)
    """The file cannot be read anew."""

    def __init__(
        self,
        document: Document,
        ask_save_as: Callable[[], object],
        commit_typed: Callable[[], object],
    ) -> None:
        """Follow a document.

        Args:
            document: Whose file is watched.
            ask_save_as: Asks for another file to save to.
            commit_typed: Takes what is still being typed, so that a reload does not lose it.
        """
        super().__init__(document)
        self._document, self._ask_save_as, self._take_typed = document, ask_save_as, commit_typed
        self.bar = Notice("File on disk")
        self._asked: FileOnDisk | None = None
        self._path: Path | None = None
        self._watcher = QFileSystemWatcher(self)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SETTLES_MS)
        self._soon.timeout.connect(self.check)
        self._watcher.fileChanged.connect(self.check_soon)
        self._watcher.directoryChanged.connect(self.check_soon)
        document.opened.connect(self._follow)
        document.edited.connect(self._follow_save)
        self._follow()

    def check_soon(self, _path: str = "") -> None:
        """Look at the file in a moment."""
        if self._path is not None:
            self._soon.start()

    def check(self) -> None:
        """Look at the file now; reload it, or ask."""
        self._soon.stop()
        path, document = self._document.saved.path, self._document
        if path is None:
            return
        self._watch(path)
        on_disk = document.read_from_disk()
        if on_disk.state is DiskState.SAME:
            self._withdraw()
            return
        if on_disk == self._asked:
            return
        file, broken = _scenario_of(on_disk, path)
        if file is not None and on_disk.text == document.state.file.text_to_save:
            document.acknowledge(on_disk, file)  # both made the same change
            self._withdraw()
            return
        self._take_typed()
        if file is not None and not document.has_edits:
            self._reload(file)
            return
        self._ask(on_disk, file, broken)

    def ask_again(self) -> None:
        """Ask, even if the same was asked before and hidden."""
        self._asked = None
        self.check()

    # Where it looks

    def _follow(self) -> None:
        """Watch the file of what was opened."""
        self._path = self._document.saved.path
        self._withdraw()
        before = [*self._watcher.files(), *self._watcher.directories()]
        if before:
            self._watcher.removePaths(before)
        if self._path is not None:
            self._watch(self._path)
            self.check_soon()

    def _follow_save(self) -> None:
        """Watch another file once the document was saved to it."""
        if self._document.saved.path != self._path:
            self._follow()

    def _watch(self, path: Path) -> None:
        """Watch a file and its folder; a file that was replaced by a rename is no longer watched."""
        wanted = [one for one in (path, path.absolute().parent) if one.exists()]
        watched = {*self._watcher.files(), *self._watcher.directories()}
        missing = [str(one) for one in wanted if str(one) not in watched]
        if missing:
            self._watcher.addPaths(missing)

    # What becomes of it

    def _reload(self, file: ScenarioFile) -> None:
        self._withdraw()
        reload_file(self._document, file)
        assert file.path is not None
        self.reported.emit(
            f"✓ {file.path.name} was changed on disk and is read anew · Undo brings back"
        )

    def _keep(self, on_disk: FileOnDisk, file: ScenarioFile | None) -> None:
        self._withdraw()
        self._document.acknowledge(on_disk, file)

    def _withdraw(self) -> None:
        """Nothing is to be asked any more."""
        self._asked = None
        self.bar.hide()
        self._document.note_unseen_change(is_there=False)

    def _ask(self, on_disk: FileOnDisk, file: ScenarioFile | None, broken: str) -> None:
        document, path = self._document, self._document.saved.path
        assert path is not None
        self._asked = on_disk
        keep = ("Keep mine", "Go on with what stands here; Save writes over the file",
                lambda: self._keep(on_disk, file))  # fmt: skip
        save_as = ("Save as…", "Write what stands here to another file", self._save_as)
        answers: list[NoticeAction]
        if on_disk.state is DiskState.GONE:
            words = f"{path.name} was deleted on disk. What stands here is in no file."
            again = ("Write it again", "Save what stands here where it was", self._write_again)
            answers = [again, save_as]
        elif on_disk.state is DiskState.UNREADABLE:
            words = f"{path.name} cannot be read any more: {on_disk.reason}. It is not saved over."
            answers = [("Look again", "Read the file once more", self.ask_again), save_as]
        else:
            show = ("Show difference", "From the file on disk to what stands here",
                    lambda: self._show_difference(on_disk))  # fmt: skip
            if file is None:
                words = f"{path.name} was changed on disk and is no scenario now: {broken}"
                answers = [keep, show, save_as]
            else:
                words = f"{path.name} was changed on disk, and has edits here that are not saved."
                reload = ("Reload", "Show what the file says; Undo brings what stands here back",
                          lambda: self._reload(file))  # fmt: skip
                answers = [reload, keep, show]
        document.note_unseen_change(is_there=True)
        self.bar.ask(words, answers)

    def _save_as(self) -> None:
        self.bar.show()  # it stands until another file is open
        self._ask_save_as()

    def _write_again(self) -> None:
        path = self._document.saved.path
        assert path is not None
        self._keep(FileOnDisk(DiskState.GONE), None)
        try:
            self._document.save(path)
        except BadInput as error:
            self.failed.emit(str(error))
            self.ask_again()
        else:
            self.reported.emit(f"✓ Saved as {path}")

    def _show_difference(self, on_disk: FileOnDisk) -> None:
        self.bar.show()  # the question stands
        path = self._document.saved.path
        assert path is not None
        assert on_disk.text is not None
        mine = self._document.state.file.text_to_save
        text = unified_difference(on_disk.text, mine, f"{path.name} on disk", f"{path.name} here")
        show_text(self.bar.window(), f"{path.name}: on disk and here", "Difference", text)


def _scenario_of(on_disk: FileOnDisk, path: Path) -> tuple[ScenarioFile | None, str]:
    """The text on disk as a scenario; None with the reason where it is none."""
    if on_disk.text is None:
        return None, ""
    try:
        return ScenarioFile.parse(on_disk.text, path), ""
    except BadInput as error:
        return None, str(error)
