"""The ways to begin: four cards, and the shipped scenarios with their questions."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from studio.gui.widgets.choice_card import ChoiceCard
from studio.resources import EXAMPLE, shipped_scenarios
from studio.views.theme import GAP_PX

TWO_COLUMNS_BELOW_PX = 620


class StartCards(QScrollArea):
    """Cards for the ways to begin; the window connects their signals."""

    open_example = Signal()
    """The example with 24 instances."""
    new = Signal()
    """A first scenario of a few lines."""
    import_ = Signal()
    """A scenario from logs, metrics or manifests."""
    lessons = Signal()
    """The lessons."""
    scenario = Signal(object)
    """A shipped scenario, by its path."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("start")
        self.setAccessibleName("Where to begin")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        inside = QWidget()
        inside.setObjectName("fields")
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(0, 0, GAP_PX, 0)  # clear of the scroll bar
        layout.setSpacing(GAP_PX)
        self.cards, self.gallery = self._make_cards(), self._make_gallery()
        self._grids = [(QGridLayout(), self.cards, 4), (QGridLayout(), self.gallery, 3)]
        for heading, (grid, _cards, _columns) in zip(
            ("Begin", "Example situations"), self._grids, strict=True
        ):
            title = QLabel(heading)
            title.setObjectName("group")
            layout.addWidget(title)
            grid.setSpacing(GAP_PX)
            layout.addLayout(grid)
        layout.addStretch(1)
        self.setWidget(inside)
        self._is_narrow: bool | None = None
        self._place(is_narrow=False)

    def _make_cards(self) -> list[ChoiceCard]:
        cards = []
        for title, about, signal in (
            ("Open example", "24 instances of a shop at six in the evening", self.open_example),
            ("New", "A first scenario of a few lines, to make your own", self.new),
            ("Import", "From logs, metrics or manifests that you have", self.import_),
            ("Lessons", "What decides a rollout, in six steps each", self.lessons),
        ):
            card = ChoiceCard(title, about)
            card.clicked.connect(lambda _checked=False, signal=signal: signal.emit())
            cards.append(card)
        return cards

    def _make_gallery(self) -> list[ChoiceCard]:
        cards = []
        for path, question in shipped_scenarios().items():
            if path.name == EXAMPLE:
                continue  # the example has a card of its own
            card = ChoiceCard(path.stem.replace("-", " ").capitalize(), question)
            card.clicked.connect(lambda _checked=False, path=path: self.scenario.emit(path))
            cards.append(card)
        return cards

    def _place(self, *, is_narrow: bool) -> None:
        if is_narrow == self._is_narrow:
            return
        self._is_narrow = is_narrow
        for grid, cards, wide_columns in self._grids:
            columns = 2 if is_narrow else wide_columns
            for place, card in enumerate(cards):
                grid.addWidget(card, place // columns, place % columns)
            for column in range(wide_columns):
                grid.setColumnStretch(column, 1 if column < columns else 0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._place(is_narrow=event.size().width() < TWO_COLUMNS_BELOW_PX)
        super().resizeEvent(event)
