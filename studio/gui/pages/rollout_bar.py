"""What stands above a rollout: where it is carried out, how far it is, and what can be done with it."""

from __future__ import annotations

from PySide6.QtWidgets import QCheckBox, QFrame, QHBoxLayout, QPushButton, QVBoxLayout

from studio.gui.background.rollout_job import RolloutJob, Where
from studio.gui.widgets.elided import ElidedLabel
from studio.gui.widgets.looks import look_as
from studio.gui.widgets.segmented import Segmented
from studio.views.figures_text import Line

_START_WORDS = {"dry": "List the actions", "lab": "Start in the lab", "inventory": "Start…"}


class RolloutBar(QFrame):
    """Choices, a sentence and buttons; whoever owns it says what they do.

    Attributes:
        where: Where it is carried out.
        choose: Asks for an inventory.
        file: Which one is taken.
        asks: Whether each wave waits for an approval.
        state: How far it is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self.where = Segmented(
            "Where",
            [
                ("dry", "Dry run", "Only say what would be done"),
                ("lab", "Lab", "A fleet of its own on this machine, with load"),
                ("inventory", "Inventory", "The machines that a file names"),
            ],
        )
        self.where.select("dry")
        self.choose = _button("Inventory…", "The file that says where the fleet is and how to act")
        self.file = ElidedLabel(name="Inventory")
        self.file.setObjectName("soft")
        self.asks = QCheckBox("Ask before each wave")
        self.asks.setToolTip("Each wave after the first begins when you approve it")
        self.state = ElidedLabel(name="State of the rollout")
        self.start_button = _button("Start", "")
        self.halt_button = _button("Halt", "Finish the steps in hand, begin nothing else (Ctrl+H)")
        self.resume_button = _button("Resume", "Go on where it stands (Ctrl+R)")
        self.end_button = _button("End", "Leave it as it stands; the lab's fleet is ended")
        self.approve_button = _button("Approve", "")
        self.report_button = _button(
            "Report…", "What happened beside the forecast, as one HTML file"
        )
        self._lay_out()

    def _lay_out(self) -> None:
        outer = QVBoxLayout(self)
        outer.setContentsMargins(10, 8, 10, 8)
        outer.setSpacing(6)
        choices, doing = QHBoxLayout(), QHBoxLayout()
        choices.addWidget(self.where)
        choices.addWidget(self.choose)
        choices.addWidget(self.file, 1)
        choices.addWidget(self.asks)
        doing.addWidget(self.state, 1)
        for button in (
            self.approve_button,
            self.report_button,
            self.end_button,
            self.resume_button,
            self.halt_button,
            self.start_button,
        ):
            doing.addWidget(button)
        outer.addLayout(choices)
        outer.addLayout(doing)

    @property
    def chosen(self) -> Where:
        """The place that is chosen."""
        return self.where.selected_key or "dry"  # type: ignore[return-value] # its keys are the places

    def show_rollout(
        self, rollout: RolloutJob | None, line: Line, why_not: str, inventory: str
    ) -> None:
        """Shows how far it is, and what can be done now.

        Args:
            rollout: The one that goes on or went last; None before one was started.
            line: How far it is.
            why_not: Why none can be started; empty when one can.
            inventory: Which one is taken, in words; empty for none.
        """
        chosen = self.chosen
        is_open = rollout is not None and rollout.is_open
        is_halted = rollout is not None and rollout.is_halted
        may_resume = rollout is not None and rollout.may_resume
        awaited = None if rollout is None else rollout.awaited
        for button, is_shown in (
            (self.start_button, not is_open),
            (self.halt_button, is_open and not is_halted),
            (self.resume_button, may_resume),
            (self.end_button, is_halted),
            (self.approve_button, awaited is not None),
            (self.report_button, rollout is not None and rollout.has_record),
        ):
            button.setVisible(is_shown)
        self.start_button.setText(_START_WORDS[chosen])
        self.start_button.setEnabled(not why_not)
        self.start_button.setToolTip(f"Not yet: {why_not}" if why_not else "Ctrl+Return")
        self.halt_button.setEnabled(
            rollout is not None and not rollout.is_halting and not rollout.is_settling
        )
        self.approve_button.setText("Approve" if awaited is None else f"Approve wave {awaited}")
        most_wanted = (
            self.approve_button
            if awaited is not None
            else self.resume_button
            if may_resume
            else self.start_button
        )
        for button in (self.approve_button, self.resume_button, self.start_button):
            look_as(button, "primary" if button is most_wanted else "")
        for widget in (self.where, self.choose, self.asks):
            widget.setEnabled(not is_open)
        self.choose.setVisible(chosen != "lab")
        self.asks.setVisible(chosen != "dry")
        in_lab = "HAProxy, instances and load on 127.0.0.1"
        self.file.setText(in_lab if chosen == "lab" else inventory or "none chosen yet")
        look, sentence = line
        self.state.setText(sentence)
        look_as(self.state, look)


def _button(words: str, tip: str) -> QPushButton:
    button = QPushButton(words)
    button.setToolTip(tip)
    return button
