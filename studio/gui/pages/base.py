"""The base class of the six pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QWidget

from studio.gui.document.document import Document
from studio.views.theme import Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from studio.gui.background.jobs import Jobs
    from studio.gui.toolkit.actions import PageAction


class Page(QWidget):
    """A page that shows a document and changes it only through commands.

    The window makes a page when the user first opens it. The page then calls `show_document`, and
    again whenever it becomes visible after a change: a hidden page does no work. Signals of the
    document reach `follow`.

    Attributes:
        document: The open document.
        jobs: Runs work in the background.
        theme: The colours.
    """

    page_requested = Signal(str)
    """The user asks for another page; the argument is its key."""
    reported = Signal(str)
    """The page has a message for the bottom bar."""

    def __init__(self, document: Document, jobs: Jobs, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("page")
        # so that the page's shortcuts work as soon as it is shown
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.document, self.jobs, self.theme = document, jobs, theme
        self._is_behind = True
        for signal in (document.opened, document.edited, document.compared):
            signal.connect(self.follow)
        document.selected.connect(self.follow)
        document.listed.connect(self.follow)
        document.answered.connect(self.follow)

    def follow(self) -> None:
        """Show the document's present content, or postpone that until the page is shown.

        After an edit the page waits for the answer, at most 100 ms.
        """
        if self.isVisible() and not self.document.awaits_answer:
            self._is_behind = False
            self.show_document()
        else:
            self._is_behind = True

    def on_shown(self) -> None:
        """Bring the page up to date; the window calls this when the page becomes visible."""
        if self._is_behind:
            self._is_behind = False
            self.show_document()

    def show_document(self) -> None:
        """Draw everything from the document. Every page implements this."""
        raise NotImplementedError

    def set_theme(self, theme: Theme) -> None:
        """Draw everything again in another theme."""
        self.theme = theme
        self._is_behind = True
        if self.isVisible():
            self.on_shown()

    def page_actions(self) -> list[PageAction]:
        """Return the page's own actions, each as key, name, shortcut and slot."""
        return []

    def has_pending_work(self) -> bool:
        """Return whether the page starts work in the background in a moment, without the user."""
        return False

    def closing_warning(self) -> str | None:
        """Return what closing the window would interrupt, as a sentence; None when there is nothing."""
        return None

    def halt_then(self, then: Callable[[], object]) -> None:
        """Bring what `closing_warning` names to a safe stop, then call ``then``, possibly later."""
        then()

    def figures(self) -> dict[str, Figure]:
        """Return the charts that can be exported, by name, drawn in the light theme."""
        return {}

    def leave(self) -> None:
        """End everything that the page has started; the window is closing."""
