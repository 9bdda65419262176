"""What every page is: a picture of a document, under the verdict and its figures."""

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
    """A page shows a document and changes it by commands only.

    It is made when it is first turned to, and is told then, and whenever it becomes visible, to show
    what there is: while it is hidden it need not follow. Signals of the document reach `follow`.

    Attributes:
        document: What is shown.
        jobs: What may be done in the background.
        theme: The colours.
    """

    page_requested = Signal(str)
    """The person asks for another page, by its key."""
    reported = Signal(str)
    """Something is to be said at the bottom of the window for a while."""

    def __init__(self, document: Document, jobs: Jobs, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("page")
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # so that its keys hold once it is turned to
        self.document, self.jobs, self.theme = document, jobs, theme
        self._is_behind = True
        for signal in (document.opened, document.edited, document.compared):
            signal.connect(self.follow)
        document.selected.connect(self.follow)
        document.listed.connect(self.follow)

    def follow(self) -> None:
        """Shows what the document holds now, or as soon as the page is turned to."""
        if self.isVisible():
            self._is_behind = False
            self.show_document()
        else:
            self._is_behind = True

    def on_shown(self) -> None:
        """The page is the one that is seen."""
        if self._is_behind:
            self._is_behind = False
            self.show_document()

    def show_document(self) -> None:
        """Draws everything from the document; every page has its own."""
        raise NotImplementedError

    def set_theme(self, theme: Theme) -> None:
        """Draws everything again in another theme."""
        self.theme = theme
        self._is_behind = True
        if self.isVisible():
            self.on_shown()

    def page_actions(self) -> list[PageAction]:
        """The page's own actions: key, words, keys, what it does."""
        return []

    def has_pending_work(self) -> bool:
        """Whether it will do something in the background by itself in a moment."""
        return False

    def closing_warning(self) -> str | None:
        """What must not be ended without asking, in words; None when there is nothing."""
        return None

    def halt_then(self, then: Callable[[], object]) -> None:
        """Ends in good order what `closing_warning` tells of, and then does what is asked, maybe later."""
        then()

    def figures(self) -> dict[str, Figure]:
        """The charts that can be exported, by name, drawn afresh in the light theme."""
        return {}

    def leave(self) -> None:
        """The window closes: whatever the page has started is ended."""
