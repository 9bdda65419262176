"""Watch the scenario's file, and ask the user what to do when another program changes or deletes it.

A file without edits in the studio is reloaded at once, as one step that can be undone. Otherwise a
bar asks: reload, keep the edits, or look at the difference first. `Document.save` refuses until the
user has answered.
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
"""Delay between a change and the check of the file, in milliseconds.

Editors write in several steps: truncate, write, rename.
"""


class FileWatch(QObject):
    """A watcher that compares the document's file with the known text whenever the file may have changed.

    Attributes:
        bar: The bar that asks; the window puts it above the pages.
    """

    reported = Signal(str)
    """The file was reloaded or saved; the argument is a message."""
    failed = Signal(str)
    """The file cannot be saved; the argument is the reason."""

    def __init__(
        self,
        document: Document,
        ask_save_as: Callable[[], object],
        commit_typed: Callable[[], object],
    ) -> None:
        """Follow a document.

        Args:
            document: The document whose file is watched.
            ask_save_as: Asks for another file to save to.
            commit_typed: Takes over text that the user is still typing, so that a reload does not
                lose it.
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
        """Check the file in a moment."""
        if self._path is not None:
            self._soon.start()

    def check(self) -> None:
        """Check the file now; reload it, or ask."""
        self._soon.stop()
        path, document = self._document.saved.path, self._document
        if path is None:
            return
        self._watch(path)
        on_disk = document.read_from_disk()
        if on_disk.state is DiskState.SAME:
            self._clear_question()
            return
        if on_disk == self._asked:
            return
        file, reason = _scenario_of(on_disk, path)
        if file is not None and on_disk.text == document.state.file.text_to_save:
            document.acknowledge(on_disk, file)  # both programs made the same change
            self._clear_question()
            return
        self._take_typed()
        if file is not None and not document.has_edits:
            self._reload(file)
            return
        self._ask(on_disk, file, reason)

    def ask_again(self) -> None:
        """Ask again, even if the user has hidden the same question."""
        self._asked = None
        self.check()

    # The watched file

    def _follow(self) -> None:
        """Watch the file of the document that was opened."""
        self._path = self._document.saved.path
        self._clear_question()
        before = [*self._watcher.files(), *self._watcher.directories()]
        if before:
            self._watcher.removePaths(before)
        if self._path is not None:
            self._watch(self._path)
            self.check_soon()

    def _follow_save(self) -> None:
        """Watch the new file after the document was saved elsewhere."""
        if self._document.saved.path != self._path:
            self._follow()

    def _watch(self, path: Path) -> None:
        """Watch a file and its folder; the watcher loses a file that is replaced by a rename."""
        paths = [
            path_to_watch
            for path_to_watch in (path, path.absolute().parent)
            if path_to_watch.exists()
        ]
        watched = {*self._watcher.files(), *self._watcher.directories()}
        missing = [
            str(path_to_watch) for path_to_watch in paths if str(path_to_watch) not in watched
        ]
        if missing:
            self._watcher.addPaths(missing)

    # What happens after a change

    def _reload(self, file: ScenarioFile) -> None:
        self._clear_question()
        reload_file(self._document, file)
        assert file.path is not None
        self.reported.emit(
            f"✓ {file.path.name} was changed on disk and was reloaded; Undo brings the old text back"
        )

    def _keep(self, on_disk: FileOnDisk, file: ScenarioFile | None) -> None:
        self._clear_question()
        self._document.acknowledge(on_disk, file)

    def _clear_question(self) -> None:
        """Hide the question, and note that no change is unanswered."""
        self._asked = None
        self.bar.hide()
        self._document.note_unseen_change(is_there=False)

    def _ask(self, on_disk: FileOnDisk, file: ScenarioFile | None, reason: str) -> None:
        document, path = self._document, self._document.saved.path
        assert path is not None
        self._asked = on_disk
        keep = ("Keep mine", "Keep your edits; Save overwrites the file",
                lambda: self._keep(on_disk, file))  # fmt: skip
        save_as = ("Save as…", "Save your edits to another file", self._save_as)
        answers: list[NoticeAction]
        if on_disk.state is DiskState.GONE:
            question = f"{path.name} was deleted on disk. The scenario shown here is in no file."
            write_again = (
                "Write it again",
                "Save the scenario to the same file",
                self._write_again,
            )
            answers = [write_again, save_as]
        elif on_disk.state is DiskState.UNREADABLE:
            question = (
                f"{path.name} cannot be read any more: {on_disk.reason}. It is not overwritten."
            )
            answers = [("Look again", "Read the file once more", self.ask_again), save_as]
        else:
            show = ("Show difference", "Show the lines that differ between the file on disk and your edits",
                    lambda: self._show_difference(on_disk))  # fmt: skip
            if file is None:
                question = (
                    f"{path.name} was changed on disk and is not a scenario any more: {reason}"
                )
                answers = [keep, show, save_as]
            else:
                question = (
                    f"{path.name} was changed on disk, and you have edits that are not saved."
                )
                reload = ("Reload", "Read the file; Undo brings your edits back",
                          lambda: self._reload(file))  # fmt: skip
                answers = [reload, keep, show]
        document.note_unseen_change(is_there=True)
        self.bar.ask(question, answers)

    def _save_as(self) -> None:
        self.bar.show()  # the question stays until another file is open
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
        self.bar.show()  # the question stays
        path = self._document.saved.path
        assert path is not None
        assert on_disk.text is not None
        mine = self._document.state.file.text_to_save
        text = unified_difference(on_disk.text, mine, f"{path.name} on disk", f"{path.name} here")
        show_text(self.bar.window(), f"{path.name}: on disk and here", "Difference", text)


def _scenario_of(on_disk: FileOnDisk, path: Path) -> tuple[ScenarioFile | None, str]:
    """Return the text on disk as a scenario; None with the reason when it is not one."""
    if on_disk.text is None:
        return None, ""
    try:
        return ScenarioFile.parse(on_disk.text, path), ""
    except BadInput as error:
        return None, str(error)
