"""The layout of a fleet's tiles: as large as fits, with each service in rows of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRect, QSize

HEADING_PX = 17
"""Height of a service's name above its tiles, in pixels; used where there are several services."""
WITH_WORDS = QSize(44, 40)
"""Size of the smallest tile with a number, a word and a bar."""
_WITH_NUMBERS = QSize(38, 20)
_LARGEST = QSize(76, 44)
_SMALLEST_PX, _LARGEST_DOT_PX, _GLYPH_DOT_PX = 3, 18, 12


@dataclass(frozen=True)
class TileLayout:
    """The size of all tiles, the gap between them, and the number of tiles per row."""

    size: QSize
    gap_px: int
    columns: int

    @property
    def has_words(self) -> bool:
        """Return whether a tile has room for a word and a bar."""
        return self.size.height() >= WITH_WORDS.height()

    @property
    def is_mosaic(self) -> bool:
        """Return whether a tile has no room for a number."""
        return self.size.height() < _WITH_NUMBERS.height()

    @property
    def has_glyphs(self) -> bool:
        """Return whether a tile has room for a glyph."""
        return self.size.width() >= _GLYPH_DOT_PX

    def rows(self, counts: Sequence[int]) -> int:
        """Return the number of rows, given the number of instances per service."""
        return sum(-(-count // self.columns) for count in counts)

    def height_px(self, counts: Sequence[int]) -> int:
        """Return the height of all tiles with the names of the services, in pixels."""
        headings = HEADING_PX * len(counts) if len(counts) > 1 else 0
        return headings + self.rows(counts) * (self.size.height() + self.gap_px) - self.gap_px

    def places(self, counts: Sequence[int]) -> Iterator[tuple[int, list[QRect]]]:
        """Yield for each service the top of its heading, and the rectangles of its tiles."""
        across, down = self.size.width() + self.gap_px, self.size.height() + self.gap_px
        top = 0
        for count in counts:
            heading_top = top
            top += HEADING_PX if len(counts) > 1 else 0
            corners = (divmod(place, self.columns) for place in range(count))
            yield (
                heading_top,
                [
                    QRect(column * across, top + row * down, self.size.width(), self.size.height())
                    for row, column in corners
                ],
            )
            top += self.rows([count]) * down


def fit_tiles(counts: Sequence[int], width_px: int, budget_px: int) -> TileLayout:
    """Return the layout with the largest tiles that fit: with words, with numbers, or as a mosaic.

    Args:
        counts: Number of instances of each service.
        width_px: The available width.
        budget_px: The available height; the smallest tiles may exceed it.
    """
    for smallest, gap in ((WITH_WORDS, 4), (_WITH_NUMBERS, 3)):
        max_columns = max(1, (width_px + gap) // (smallest.width() + gap))
        rows = -(-max(counts) // max_columns)
        columns = -(-max(counts) // rows)  # rows of even length
        width = min(_LARGEST.width(), (width_px + gap) // columns - gap)
        grid = TileLayout(QSize(max(smallest.width(), width), smallest.height()), gap, columns)
        spare_px = budget_px - grid.height_px(counts)
        if spare_px >= 0:
            extra_px = min(spare_px // grid.rows(counts), _LARGEST.height() - smallest.height())
            height = smallest.height() + (extra_px if grid.has_words else 0)
            return TileLayout(QSize(grid.size.width(), height), gap, columns)
    for side in range(_LARGEST_DOT_PX, _SMALLEST_PX - 1, -1):
        gap = 1 if side < 8 else 2
        grid = TileLayout(QSize(side, side), gap, max(1, (width_px + gap) // (side + gap)))
        if grid.height_px(counts) <= budget_px:
            break
    return grid
