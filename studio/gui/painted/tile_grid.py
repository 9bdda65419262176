"""How the tiles of a fleet lie: as large as fits, those of each service in rows of their own.

Enters: how many instances each service has, and the room. Leaves: a `TileLayout`, and where each
tile is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRect, QSize

HEADING_PX = 17
"""The name of a service above its tiles, where there are several."""
WITH_WORDS = QSize(44, 40)
"""The smallest tile with a number, a word and a bar."""
_WITH_NUMBERS = QSize(38, 20)
_LARGEST = QSize(76, 44)
_SMALLEST_PX, _LARGEST_DOT_PX, _GLYPH_DOT_PX = 3, 18, 12


@dataclass(frozen=True)
class TileLayout:
    """The size of all tiles, the gap between them, how many stand in a row."""

    size: QSize
    gap_px: int
    columns: int

    @property
    def has_words(self) -> bool:
        """Whether there is room for a word and a bar."""
        return self.size.height() >= WITH_WORDS.height()

    @property
    def is_mosaic(self) -> bool:
        """Whether there is not even room for a number."""
        return self.size.height() < _WITH_NUMBERS.height()

    @property
    def has_glyphs(self) -> bool:
        """Whether there is room for a glyph."""
        return self.size.width() >= _GLYPH_DOT_PX

    def rows(self, counts: Sequence[int]) -> int:
        """How many rows services of so many instances take."""
        return sum(-(-count // self.columns) for count in counts)

    def height_px(self, counts: Sequence[int]) -> int:
        """How high all of them are, with the services' names."""
        headings = HEADING_PX * len(counts) if len(counts) > 1 else 0
        return headings + self.rows(counts) * (self.size.height() + self.gap_px) - self.gap_px

    def places(self, counts: Sequence[int]) -> Iterator[tuple[int, list[QRect]]]:
        """For each service where its heading begins, and where its tiles are."""
        across, down = self.size.width() + self.gap_px, self.size.height() + self.gap_px
        top = 0
        for count in counts:
            begin = top
            top += HEADING_PX if len(counts) > 1 else 0
            corners = (divmod(place, self.columns) for place in range(count))
            yield (
                begin,
                [
                    QRect(column * across, top + row * down, self.size.width(), self.size.height())
                    for row, column in corners
                ],
            )
            top += self.rows([count]) * down


def fit_tiles(counts: Sequence[int], width_px: int, budget_px: int) -> TileLayout:
    """The largest tiles that fit: with words, with numbers, or as a mosaic.

    Args:
        counts: Instances of each service.
        width_px: How wide they may be together.
        budget_px: How high; what is smaller than the smallest goes beyond it.
    """
    for least, gap in ((WITH_WORDS, 4), (_WITH_NUMBERS, 3)):
        most = max(1, (width_px + gap) // (least.width() + gap))
        rows = -(-max(counts) // most)
        columns = -(-max(counts) // rows)  # rows of even length
        wide = min(_LARGEST.width(), (width_px + gap) // columns - gap)
        grid = TileLayout(QSize(max(least.width(), wide), least.height()), gap, columns)
        spare = budget_px - grid.height_px(counts)
        if spare >= 0:
            taller = min(spare // grid.rows(counts), _LARGEST.height() - least.height())
            high = least.height() + (taller if grid.has_words else 0)
            return TileLayout(QSize(grid.size.width(), high), gap, columns)
    for side in range(_LARGEST_DOT_PX, _SMALLEST_PX - 1, -1):
        gap = 1 if side < 8 else 2
        grid = TileLayout(QSize(side, side), gap, max(1, (width_px + gap) // (side + gap)))
        if grid.height_px(counts) <= budget_px:
            break
    return grid
