"""The page *Execute*: carries the plan out (dry run, lab or real fleet) and shows its progress beside the forecast.

The plan is that of the selected run. The rollout runs in a job; the page writes its report. The
document is not changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QVBoxLayout

from executor.base.errors import RollcastError
from executor.base.files import atomic_write_text
from executor.fleet.inventory import Inventory, read_inventory
from executor.preflight import check_inventory, problems_in
from studio.gui.background.rollout_job import RolloutJob, Where, lab_refuses, no_haproxy
from studio.gui.document.document import Document
from studio.gui.pages.base import Page
from studio.gui.pages.plan_draft import Drafts, PlanDraft
from studio.gui.pages.rollout_bar import RolloutBar
from studio.gui.pages.rollout_view import RolloutView
from studio.gui.widgets.dialogs import ask_for_file, ask_to_carry_out
from studio.rollouts.kept_rollouts import find_left_rollout
from studio.views.figures_text import Line, instances_text
from studio.views.plan_text import tool_name
from studio.views.rollout_text import question
from studio.views.theme import GAP_PX, Theme

if TYPE_CHECKING:
    from studio.gui.background.job import JobContext
    from studio.gui.background.jobs import Jobs
    from studio.gui.toolkit.actions import PageAction


_INVENTORY_HINTS: dict[Where, str] = {
    "dry": "Choose an inventory to see the exact commands; the list below has the steps by name",
    "inventory": "Choose an inventory: the file that names the machines of the fleet",
}


class RefusalReason(Enum):
    """Why a rollout cannot be started, as far as the page shows it differently."""

    OTHER_TOOL = "another tool carries the plan out"
    NO_INVENTORY = "no inventory is chosen"
    NOT_READY = "something else is missing; the text says what"


@dataclass(frozen=True)
class StartRefusal:
    """The reason why a rollout cannot be started, and the sentence about it."""

    reason: RefusalReason
    text: str


class ExecutePage(Page):
    """A page that carries out the document's plan where the user chooses, and shows its progress."""

    def __init__(self, document: Document, jobs: Jobs, theme: Theme) -> None:
        super().__init__(document, jobs, theme)
        self._drafts = Drafts(document)
        self._inventory: tuple[Path, Inventory] | None = None
        self._rollout: RolloutJob | None = None
        self._searched_scenario: str | None = None
        self._lab_refusal: tuple[PlanDraft | None, str] = (None, "")
        self.bar = RolloutBar()
        self.view = RolloutView(theme)
        self.other_tool = _OtherToolCard()
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GAP_PX)
        layout.addWidget(self.bar)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.other_tool, 1)

    def _connect(self) -> None:
        bar = self.bar
        bar.where.picked.connect(self._on_where)
        for button, slot in (
            (bar.choose, self.ask_inventory),
            (bar.start_button, self.start),
            (bar.halt_button, self.halt),
            (bar.resume_button, self.resume),
            (bar.end_button, self.give_up),
            (bar.approve_button, self.approve),
            (bar.report_button, self.ask_report),
            (self.other_tool.button, lambda: self.page_requested.emit("plan")),
        ):
            button.clicked.connect(slot)
        for signal in (self.jobs.started, self.jobs.ended):
            signal.connect(self.follow)

    def _on_where(self, _key: str) -> None:
        """Start afresh in another place; the record of the last rollout stays beside its journal."""
        self._discard_rollout()  # while a rollout is open, no other place can be chosen
        if self.bar.chosen_place == "inventory":
            self._searched_scenario = None
        self.show_document()

    def _find_left_rollout(self) -> None:
        """Show a rollout that an earlier studio began on real machines and left unfinished.

        The state directory is searched once per scenario, and again when the user chooses
        *Inventory*.
        """
        name = self.document.scenario.name
        if self.rollout is not None or self._searched_scenario == name:
            return
        self._searched_scenario = name
        left = find_left_rollout(name)
        if left is not None and self._read_inventory(left.inventory):
            self.bar.where.select("inventory")
            self._set_rollout(RolloutJob(self.jobs, left.plan, "inventory", timeline=left.timeline))

    def _set_rollout(self, rollout: RolloutJob) -> RolloutJob:
        """Make a rollout the one that the page shows."""
        self._discard_rollout()
        self._rollout = rollout
        rollout.changed.connect(self.follow)
        return rollout

    def _discard_rollout(self) -> None:
        """Stop showing the rollout, which has ended."""
        if self._rollout is not None:
            self._rollout.deleteLater()
        self._rollout = None

    # Display

    @property
    def rollout(self) -> RolloutJob | None:
        """The rollout that the page shows; None before one of this scenario was started.

        An open rollout is always shown, so that the user can halt it. A rollout that has ended is
        shown only beside its own scenario: beside another one it would look like that scenario's
        record.
        """
        rollout = self._rollout
        if rollout is None or rollout.is_open:
            return rollout
        if rollout.is_left:
            return rollout if rollout.plan.name == self.document.scenario.name else None
        return rollout if self._matches_draft(rollout) else None

    def _matches_draft(self, rollout: RolloutJob) -> bool:
        """Return whether a rollout has the scenario and the window that the page would carry out now."""
        return rollout.key == self._drafts.current().key

    def show_document(self) -> None:
        """Show the current rollout, or else the steps that the plan would carry out."""
        self._find_left_rollout()
        refusal = self._start_refusal()
        is_elsewhere = self.rollout is None and (
            refusal is not None and refusal.reason is RefusalReason.OTHER_TOOL
        )
        self.bar.setVisible(not is_elsewhere)
        self.view.setVisible(not is_elsewhere)
        self.other_tool.setVisible(is_elsewhere)
        if is_elsewhere and refusal is not None:
            self.other_tool.sentence.setText(f"✗ {refusal.text}")
            return
        self._show_bar(refusal)
        self.view.show_rollout(self.rollout, self._drafts.current(), self.theme)

    def _start_refusal(self) -> StartRefusal | None:
        """Return why the rollout cannot be started; None when it can."""
        draft = self._drafts.current()
        if self._rollout is not None and self._rollout.is_open:
            return StartRefusal(RefusalReason.NOT_READY, "a rollout is under way")
        if draft.plan is not None and not draft.plan.is_by_rollcast:
            tool = tool_name(draft.plan)
            text = f"{tool} carries this plan out, so Rollcast cannot start it. Export the plan."
            return StartRefusal(RefusalReason.OTHER_TOOL, text)
        if draft.plan is not None and not draft.refusal_text and self.bar.chosen_place != "lab":
            if self._inventory is None:
                return StartRefusal(RefusalReason.NO_INVENTORY, "choose an inventory")
            text = "; ".join(problems_in(check_inventory(draft.plan, self._inventory[1])))
        elif draft.plan is None or draft.refusal_text:
            text = draft.refusal_text
        else:
            text = no_haproxy() or self._lab_refusal_text(draft)
        return StartRefusal(RefusalReason.NOT_READY, text) if text else None

    def _lab_refusal_text(self, draft: PlanDraft) -> str:
        """Return why the lab cannot run a draft's scenario; the answer is kept for one draft."""
        if self._lab_refusal[0] is not draft:
            self._lab_refusal = (draft, lab_refuses(draft.scenario))
        return self._lab_refusal[1]

    def _show_bar(self, refusal: StartRefusal | None) -> None:
        rollout, inventory = self.rollout, ""
        if self._inventory is not None:
            path, fleet = self._inventory
            inventory = f"{path.name}: {instances_text(len(fleet.instances))}"
        line = self._idle_line(refusal) if rollout is None else rollout.line
        if rollout is not None and not self._matches_draft(rollout):
            plan = rollout.plan
            line = (
                line[0],
                f"{line[1]} · a rollout of {plan.name}, window {plan.window}, not of the open scenario",
            )
        refusal_text = "" if refusal is None else refusal.text
        self.bar.show_rollout(rollout, line, refusal_text, inventory)

    def _idle_line(self, refusal: StartRefusal | None) -> Line:
        """Return the status line before a rollout is started."""
        if refusal is not None and refusal.reason is RefusalReason.NO_INVENTORY:
            return "soft", _INVENTORY_HINTS[self.bar.chosen_place]
        if refusal is not None:
            return "bad", f"✗ {refusal.text}"
        plan = self._drafts.current().plan
        assert plan is not None
        count = instances_text(len(plan.instances))
        return "heading", f"{plan.name}: {count}, window {plan.window}"

    # Actions of the user

    def page_actions(self) -> list[PageAction]:
        """Return the page's actions: start, halt, resume, approve, choose an inventory, write the report."""
        return [
            ("execute.start", "Start the rollout", "Ctrl+Return", self.start),
            ("execute.halt", "Halt the rollout", "Ctrl+H", self.halt),
            ("execute.resume", "Resume the rollout", "Ctrl+R", self.resume),
            ("execute.approve", "Approve the next wave", "Ctrl+Alt+A", self.approve),
            ("execute.inventory", "Choose an inventory…", "Ctrl+Alt+I", self.ask_inventory),
            ("execute.report", "Write the report…", "Ctrl+Alt+R", self.ask_report),
        ]

    def ask_inventory(self) -> None:
        """Ask for the inventory's file."""
        ask_for_file(self, "Choose an inventory", "Inventories (*.yaml *.yml)", self.take_inventory)

    def take_inventory(self, path: Path) -> bool:
        """Read an inventory and return whether that worked; report why when it did not."""
        is_valid = self._read_inventory(path)
        if is_valid:
            self.show_document()
        return is_valid

    def _read_inventory(self, path: Path) -> bool:
        try:
            self._inventory = path, read_inventory(path)
        except RollcastError as error:
            self.reported.emit(f"✗ {error}")
            return False
        return True

    def start(self) -> None:
        """Start the rollout; on real machines ask for confirmation first."""
        if self._start_refusal() is not None:
            return
        draft = self._drafts.current()
        assert draft.plan is not None
        if self.bar.chosen_place == "inventory":
            assert self._inventory is not None
            ask_to_carry_out(
                self, *question(draft.plan, *self._inventory), then=self._start_for_real
            )
        elif self.bar.chosen_place == "lab":
            self._make_rollout("lab").start_in_lab(draft.scenario, asks=self.bar.asks.isChecked())
        else:
            assert self._inventory is not None
            self._make_rollout("dry").start_on(self._inventory[0])
        self.show_document()

    def _make_rollout(self, where: Where) -> RolloutJob:
        draft = self._drafts.current()
        assert draft.plan is not None
        return self._set_rollout(
            RolloutJob(self.jobs, draft.plan, where, self.view.forecast_of(draft))
        )

    def _start_for_real(self) -> None:
        if self._start_refusal() is None and self._inventory is not None:
            asks = self.bar.asks.isChecked()
            self._make_rollout("inventory").start_on(self._inventory[0], asks=asks)
            self.show_document()

    def halt(self) -> None:
        """Ask the executor to halt: it finishes the steps that it has begun."""
        if self._rollout is not None and self._rollout.is_open and not self._rollout.is_settling:
            self._rollout.halt()
            self.show_document()

    def resume(self) -> None:
        """Resume a halted rollout; ask for confirmation before resuming one that an earlier studio left."""
        rollout = self.rollout
        if rollout is not None and rollout.is_halted:
            rollout.resume()
        elif rollout is not None and rollout.is_left:
            assert self._inventory is not None
            question_texts = question(rollout.plan, *self._inventory, resumes=True)
            ask_to_carry_out(self, *question_texts, then=self._resume_left)

    def _resume_left(self) -> None:
        rollout = self.rollout
        if rollout is not None and rollout.is_left and self._inventory is not None:
            rollout.start_on(self._inventory[0], asks=self.bar.asks.isChecked())
            self.show_document()

    def give_up(self) -> None:
        """End a halted rollout and leave the fleet as it is."""
        if self._rollout is not None and self._rollout.is_halted:
            self._rollout.give_up()

    def approve(self) -> None:
        """Approve the wave that waits."""
        if self._rollout is not None:
            try:
                self._rollout.approve()
            except RollcastError as error:
                self.reported.emit(f"✗ {error}")

    def ask_report(self) -> None:
        """Ask for the report's file."""
        if self.rollout is not None and self.rollout.has_record:
            name = f"{self.rollout.plan.name}.html"
            ask_for_file(self, "Write the report to", "HTML (*.html)", self.write_report, name)

    def write_report(self, path: Path) -> None:
        """Write the report in a job, because drawing its charts takes seconds."""
        rollout = self.rollout
        if rollout is None or rollout.timeline is None:
            return
        plan, timeline, forecast = rollout.plan, rollout.timeline, rollout.forecast

        def work(context: JobContext) -> None:
            from studio.reports.rollout_report import timeline_report  # noqa: PLC0415 - read when it is needed

            atomic_write_text(path, timeline_report(plan, timeline, forecast))
            context.publish(path)

        self.jobs.run(
            f"Report {path.name}", work, lambda _: self.reported.emit(f"✓ {path} is written")
        )

    def closing_warning(self) -> str | None:
        """Return a warning when a rollout is open on real machines or in the lab."""
        rollout = self._rollout
        if rollout is None or not rollout.is_open or rollout.where == "dry":
            return None
        where = (
            "in the lab"
            if rollout.where == "lab"
            else f"on {instances_text(len(rollout.plan.instances))}"
        )
        if rollout.is_halted:
            return (
                f"The rollout of {rollout.plan.name} {where} is halted. "
                "Closing the window leaves the fleet as it is."
            )
        return (
            f"A rollout of {rollout.plan.name} is running {where}. "
            "Closing the window halts the rollout after the steps that are under way."
        )

    def halt_then(self, then: Callable[[], object]) -> None:
        """Halt the open rollout, and call ``then`` once no step is under way."""
        rollout = self._rollout
        if rollout is None or not rollout.is_open:
            then()
            return

        def call_when_halted() -> None:
            if rollout.is_open and not (rollout.is_halted or rollout.is_settling):
                return
            rollout.changed.disconnect(call_when_halted)
            rollout.give_up()
            then()

        rollout.changed.connect(call_when_halted)
        rollout.halt()
        call_when_halted()

    def leave(self) -> None:
        """Halt the open rollout; closing the jobs waits for its end."""
        if self._rollout is not None:
            self._rollout.give_up()


class _OtherToolCard(QFrame):
    """A card that says which tool carries the plan out, with a button to the export.

    Attributes:
        sentence: Says why nothing can be started here.
        button: Shows the page *Plan*.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self.sentence = QLabel()
        self.sentence.setObjectName("bad")
        self.sentence.setWordWrap(True)
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.button = QPushButton("Show the plan and its export")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(40, 12, 40, 12)
        layout.setSpacing(12)
        layout.addStretch(1)
        layout.addWidget(self.sentence)
        layout.addWidget(self.button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(1)
