"""The bar above a rollout: where the plan is carried out, its state, and the buttons."""

from __future__ import annotations

from PySide6.QtWidgets import QCheckBox, QFrame, QHBoxLayout, QPushButton, QVBoxLayout

from studio.gui.background.rollout_job import RolloutJob, Where
from studio.gui.widgets.elided import ElidedLabel
from studio.gui.widgets.looks import look_as
from studio.gui.widgets.segmented import Segmented
from studio.views.figures_text import Line

_START_TEXTS = {"dry": "List the actions", "lab": "Start in the lab", "inventory": "Start…"}


class RolloutBar(QFrame):
    """Choices, a status line and buttons; the page connects the buttons.

    Attributes:
        where: Chooses where the plan is carried out.
        choose: Asks for an inventory.
        file: Names the chosen inventory.
        asks: Whether each wave waits for an approval.
        state: The state of the rollout, as a sentence.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self.where = Segmented(
            "Where",
            [
                ("dry", "Dry run", "List the actions and carry out none"),
                ("lab", "Lab", "Start a fleet on this machine and send load to it"),
                ("inventory", "Inventory", "The machines that an inventory file names"),
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
        self.halt_button = _button(
            "Halt", "Finish the steps that are under way, begin no other (Ctrl+H)"
        )
        self.resume_button = _button("Resume", "Continue the rollout where it halted (Ctrl+R)")
        self.end_button = _button(
            "End", "End the rollout and leave the fleet as it is; the lab stops its fleet"
        )
        self.approve_button = _button("Approve", "")
        self.report_button = _button(
            "Report…", "Write what happened beside the forecast, as one HTML file"
        )
        self._lay_out()

    def _lay_out(self) -> None:
        outer = QVBoxLayout(self)
        outer.setContentsMargins(10, 8, 10, 8)
        outer.setSpacing(6)
        choices, buttons_row = QHBoxLayout(), QHBoxLayout()
        choices.addWidget(self.where)
        choices.addWidget(self.choose)
        choices.addWidget(self.file, 1)
        choices.addWidget(self.asks)
        buttons_row.addWidget(self.state, 1)
        for button in (
            self.approve_button,
            self.report_button,
            self.end_button,
            self.resume_button,
            self.halt_button,
            self.start_button,
        ):
            buttons_row.addWidget(button)
        outer.addLayout(choices)
        outer.addLayout(buttons_row)

    @property
    def chosen_place(self) -> Where:
        """The chosen place."""
        return self.where.selected_key or "dry"  # type: ignore[return-value] # its keys are the places

    def show_rollout(
        self, rollout: RolloutJob | None, line: Line, refusal: str, inventory: str
    ) -> None:
        """Show the state of a rollout, and enable what can be done now.

        Args:
            rollout: The current or the last rollout; None before one was started.
            line: The state, as a sentence with its look.
            refusal: Why no rollout can be started; empty when one can.
            inventory: The chosen inventory's file and size; empty for none.
        """
        chosen_place = self.chosen_place
        is_open = rollout is not None and rollout.is_open
        is_halted = rollout is not None and rollout.is_halted
        may_resume = rollout is not None and rollout.may_resume
        awaited_wave = None if rollout is None else rollout.awaited
        for button, is_shown in (
            (self.start_button, not is_open),
            (self.halt_button, is_open and not is_halted),
            (self.resume_button, may_resume),
            (self.end_button, is_halted),
            (self.approve_button, awaited_wave is not None),
            (self.report_button, rollout is not None and rollout.has_record),
        ):
            button.setVisible(is_shown)
        self.start_button.setText(_START_TEXTS[chosen_place])
        self.start_button.setEnabled(not refusal)
        self.start_button.setToolTip(f"Not yet: {refusal}" if refusal else "Ctrl+Return")
        self.halt_button.setEnabled(
            rollout is not None and not rollout.is_halting and not rollout.is_settling
        )
        self.approve_button.setText(
            "Approve" if awaited_wave is None else f"Approve wave {awaited_wave}"
        )
        proposed_button = (
            self.approve_button
            if awaited_wave is not None
            else self.resume_button
            if may_resume
            else self.start_button
        )
        for button in (self.approve_button, self.resume_button, self.start_button):
            look_as(button, "primary" if button is proposed_button else "")
        for widget in (self.where, self.choose, self.asks):
            widget.setEnabled(not is_open)
        self.choose.setVisible(chosen_place != "lab")
        self.asks.setVisible(chosen_place != "dry")
        in_lab = "HAProxy, instances and load on 127.0.0.1"
        self.file.setText(in_lab if chosen_place == "lab" else inventory or "none chosen yet")
        look, sentence = line
        self.state.setText(sentence)
        look_as(self.state, look)


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
