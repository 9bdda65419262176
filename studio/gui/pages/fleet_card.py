"""A card with the tiles of a fleet, the moment that they show, and a legend of their colours."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from studio.gui.painted.tiles import Tiles
from studio.gui.toolkit.painting import font_of
from studio.gui.widgets.elided import ElidedLabel
from studio.views.figures_text import clock_text, duration_text
from studio.views.replay import Story
from studio.views.states import LEGEND, readable
from studio.views.theme import LIGHT, SMALL_PX, Theme

_SWATCH_PX, _GAP_PX = 13, 12
_SHORT = {
    "stopped, deploying, verifying": "out",
    "starting, returning": "starting",
    "old version": "old",
    "new version": "new",
}


class StateLegend(QWidget):
    """A legend of colours, glyphs and words; it shortens the words where space is short."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(18)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("What the colours mean")
        entries_text = "\n".join(f"{glyph}  {words}" for _, glyph, words in LEGEND)
        self.setToolTip(entries_text)
        self.setAccessibleDescription(entries_text.replace("\n", ", "))
        self._theme: Theme = LIGHT

    def set_theme(self, theme: Theme) -> None:
        """Paint in another theme."""
        self._theme = theme
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font, sign = font_of(SMALL_PX), font_of(9, bold=True)
        metrics = QFontMetrics(font)
        entries = [(token, glyph, words) for token, glyph, words in LEGEND]
        for shorter in (_SHORT, dict.fromkeys((words for _, _, words in LEGEND), "")):
            if self._width(metrics, [words for _, _, words in entries]) > self.width():
                entries = [
                    (token, glyph, shorter.get(words, words)) for token, glyph, words in LEGEND
                ]
        x: float = self.width() - self._width(metrics, [words for _, _, words in entries])
        middle = self.height() / 2
        for token, glyph, words in entries:
            ground, ink = readable(getattr(self._theme, token))
            swatch = QRectF(x, middle - _SWATCH_PX / 2, _SWATCH_PX, _SWATCH_PX)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(ground))
            painter.drawRoundedRect(swatch, 3, 3)
            painter.setFont(sign)
            painter.setPen(QColor(ink))
            painter.drawText(swatch, Qt.AlignmentFlag.AlignCenter, glyph)
            painter.setFont(font)
            painter.setPen(QColor(self._theme.soft))
            width = metrics.horizontalAdvance(words)
            room = QRectF(swatch.right() + 4, 0, width + 2, self.height())
            painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, words)
            x = room.right() + _GAP_PX - 2

    def _width(self, metrics: QFontMetrics, words: list[str]) -> int:
        widths = [_SWATCH_PX + 4 + metrics.horizontalAdvance(text) + _GAP_PX for text in words]
        return sum(widths) - _GAP_PX + 1


class FleetCard(QFrame):
    """A card that shows a fleet's tiles under a heading."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self.tiles = Tiles()
        self.legend = StateLegend()
        self._heading = ElidedLabel("Fleet")
        self._heading.setObjectName("heading")
        self._note = self._name = ""
        top = QHBoxLayout()
        top.setSpacing(10)
        top.addWidget(self._heading)
        top.addWidget(self.legend, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 6, 12, 10)
        layout.setSpacing(5)
        layout.addLayout(top)
        layout.addWidget(self.tiles)

    @property
    def heading(self) -> str:
        """The heading above the tiles."""
        return self._heading.text()

    def show_story(self, story: Story | None, theme: Theme, note: str, name: str = "") -> None:
        """Show another story.

        Args:
            story: The story; None for no fleet.
            theme: The colours.
            note: A note beside the moment; empty when the story is that of the present scenario.
            name: The name of the candidate whose run it is.
        """
        self._note, self._name = note, name
        self.legend.set_theme(theme)
        self.tiles.show_story(story, theme, faded=bool(note))

    def show_time(self, time_s: float | None) -> None:
        """Show another moment, in seconds; None for none."""
        if time_s is None:
            self._heading.setText(self._note or "Fleet")
            return
        self.tiles.show_time(time_s)
        at = duration_text(round(time_s)) if time_s >= 60 else clock_text(time_s)
        parts = [f"Fleet at {at}", self._name, self._note]
        self._heading.setText(", ".join(part for part in parts if part))
