"""Paints the steps of a rollout: one row per instance, in the order in which the steps begin."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QRect, QRectF
from PySide6.QtGui import QColor, QPainter

from simulation.results.states import State
from studio.gui.painted.strip_painter import PixelScale
from studio.views.replay import STATES, Story
from studio.views.states import colour_of
from studio.views.theme import Theme

ROW_PX = 6.0
"""Maximum height of a row, in pixels."""


def row_px(story: Story, box: QRect) -> float:
    """Return the height of a row with its gap, in pixels; less than a pixel for many rows."""
    return min(ROW_PX + 1, box.height() / max(1, len(story.order)))


def instance_in(story: Story, box: QRect, y: float) -> int | None:
    """Return the instance whose row is at a height; None outside the rows."""
    row = int((y - box.top()) / row_px(story, box))
    return int(story.order[row]) if 0 <= row < len(story.order) and y >= box.top() else None


def paint_steps(
    painter: QPainter, story: Story, box: QRect, scale: PixelScale, theme: Theme, *, faded: bool
) -> None:
    """Paint every step of every instance. A serving or absent instance leaves its row empty."""
    height = row_px(story, box)
    row_by_instance = np.full(story.count, -1)
    row_by_instance[story.order] = np.arange(len(story.order))
    is_visible = (story.end_s > np.maximum(story.begin_s, 0)) & (story.begin_s < scale.end_s)
    for state in STATES:
        if state in (State.SERVING, State.ABSENT):
            continue
        is_in_state = is_visible & (story.code == STATES.index(state))
        if not is_in_state.any():
            continue
        left = (
            scale.left_px + scale.width_px * np.maximum(story.begin_s[is_in_state], 0) / scale.end_s
        )
        right = (
            scale.left_px
            + scale.width_px * np.minimum(story.end_s[is_in_state], scale.end_s) / scale.end_s
        )
        top = box.top() + row_by_instance[story.instance[is_in_state]] * height
        colour = QColor(colour_of(state, False, theme))
        colour.setAlpha(110 if faded else 255)
        thickness_px = max(1.0, height - 1 if height > 3 else height)
        for x0, x1, y in zip(left.tolist(), right.tolist(), top.tolist(), strict=True):
            painter.fillRect(QRectF(x0, y, max(1.0, x1 - x0), thickness_px), colour)
