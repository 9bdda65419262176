"""The banner with the verdict, and the cards with the figures."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout

from studio.gui.widgets.elided import ElidedLabel
from studio.gui.widgets.looks import look_as
from studio.views.theme import RADIUS_PX, Theme


class VerdictBanner(QFrame):
    """A sentence on a background in the colour of the verdict."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("banner")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        self._sentence = ElidedLabel(name="Verdict")
        self._note = ElidedLabel()
        self._note.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._note.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        layout.addWidget(self._sentence)
        layout.addWidget(self._note, 1)

    @property
    def sentence(self) -> str:
        """The sentence."""
        return self._sentence.text()

    @property
    def note(self) -> str:
        """The note beside the sentence."""
        return self._note.text()

    def show_verdict(self, answer: str, sentence: str, note: str, theme: Theme) -> None:
        """Show a verdict; an empty ``answer`` gives the neutral colours."""
        ground, ink = theme.card, theme.soft
        if answer:
            ground, ink = theme.answer_colours(answer)
        self.setStyleSheet(
            f"QFrame#banner {{ background: {ground}; border-radius: {RADIUS_PX}px; }}"
            f"QLabel {{ color: {ink}; }}"
        )
        self._sentence.setStyleSheet("font-weight: 600;")
        self._sentence.setText(sentence)
        self._note.setText(note)


class FigureCard(QFrame):
    """A figure with its name; below it the range of single runs, the limit, and the control where there is one."""

    def __init__(self, name: str, tip: str) -> None:
        super().__init__()
        self.setObjectName("card")
        self.setToolTip(tip)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(9, 7, 6, 8)
        layout.setSpacing(1)
        heading = ElidedLabel(name)
        heading.setObjectName("soft")
        self._figure = ElidedLabel("–", name)
        self._figure.setObjectName("figure")
        self._under = ElidedLabel(" ")
        self._under.setObjectName("soft")
        self._control = ElidedLabel("")
        self._control.setObjectName("soft")
        for label in (heading, self._figure, self._under, self._control):
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            layout.addWidget(label)
        self._control.hide()

    @property
    def figure(self) -> str:
        """The figure, as shown."""
        return self._figure.text()

    @property
    def control(self) -> str:
        """The figure of the control, as shown; empty where there is none."""
        return self._control.text().strip()

    def show_figure(self, figure: str, under: str, look: str) -> None:
        """Show a figure without a control; ``look`` is that of the text under it."""
        self._figure.setText(figure)
        self._under.setText(under)
        look_as(self._under, look)
        self.show_control("", is_shown=False)

    def show_control(self, text: str, *, is_shown: bool) -> None:
        """Show the figure of the control; an empty text keeps the line's room beside other cards."""
        self._control.setText(text or " ")
        self._control.setVisible(is_shown)
