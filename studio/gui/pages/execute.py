"""The page *Execute*: the plan is carried out, dry, in the lab or for real, and watched beside its forecast.

Enters: the plan of what is looked at, and an inventory where there is one. Leaves: a rollout in a job, and its
report. Nothing of the document is changed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from executor.errors import RollcastError
from executor.files import atomic_write_text
from executor.inventory import Inventory, read_inventory
from executor.preflight import fits, problems_in
from studio.charts.waterfall import Span, actual_spans, forecast_spans
from studio.format import Line, instances_text
from studio.graph import typical_run
from studio.gui.dialogs import ask_for_file, ask_to_carry_out
from studio.gui.document import Document
from studio.gui.drafts import Draft, Drafts
from studio.gui.pages.base import Page
from studio.gui.rollouts import Rollout, Where, lab_refuses, no_haproxy
from studio.gui.widgets.lines import Lines
from studio.gui.widgets.log import PlainText
from studio.gui.widgets.rollout_bar import RolloutBar
from studio.gui.widgets.waterfall import Waterfall
from studio.plan_words import steps_in_words
from studio.rollout_words import figure_lines, guard_lines, log_line, question
from studio.theme import GAP_PX, Theme

if TYPE_CHECKING:
    from studio.gui.actions import PageAction
    from studio.gui.tasks import Jobs, Talk


LEAST_LOG_PX = 96
"""So high that six lines can be seen."""

MOST_PX = 16_777_215
"""As high as there is room: Qt's own largest size."""

_CHOOSE = "choose an inventory"
_CHOOSE_WORDS = {
    "dry": "Choose an inventory to see the exact commands; the steps by name stand below",
    "inventory": "Choose an inventory: the file that says where the fleet is",
}


class ExecutePage(Page):
    """Carries the draft of a document out where a person says, and shows how it goes."""

    def __init__(self, document: Document, jobs: Jobs, theme: Theme) -> None:
        super().__init__(document, jobs, theme)
        self._drafts = Drafts(document)
        self._inventory: tuple[Path, Inventory] | None = None
        self._rollout: Rollout | None = None
        self._refused: tuple[Draft | None, str] = (None, "")
        self._forecast: tuple[object, tuple[Span, ...]] = (None, ())
        self.bar = RolloutBar()
        self.waterfall = Waterfall("Steps of each instance", theme)
        self.watched = Lines("Guards and figures")
        self.log = PlainText("What is said", wraps=True)
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(GAP_PX)
        across = QHBoxLayout()
        across.setSpacing(GAP_PX)
        across.addWidget(_card(self.waterfall), 5)
        across.addWidget(_card(self.watched, (8, 8, 4, 8)), 3)
        self._log_card = _card(self.log, (5, 5, 5, 5))
        self._log_card.setMinimumHeight(LEAST_LOG_PX)
        outer.addWidget(self.bar)
        outer.addLayout(across, 1)
        outer.addWidget(self._log_card)

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
        ):
            button.clicked.connect(slot)
        for signal in (self.jobs.started, self.jobs.ended):
            signal.connect(self.follow)

    def _on_where(self, _key: str) -> None:
        """Another place begins afresh; the record of the last rollout lies beside its journal."""
        self._let_go()  # while one is open nothing else can be picked
        self.show_document()

    def _let_go(self) -> None:
        """The rollout that is over is no longer shown."""
        if self._rollout is not None:
            self._rollout.deleteLater()
        self._rollout = None

    # What it shows

    @property
    def rollout(self) -> Rollout | None:
        """The rollout that is shown; None before one was started."""
        return self._rollout

    def show_document(self) -> None:
        """Shows the rollout that goes on or went last, else what would be carried out."""
        self._show_bar()
        self._show_waterfall()
        self._show_watched()
        self._show_log()

    def _why_not(self) -> str:
        """Why it cannot be started; empty when it can."""
        draft = self._drafts.now()
        if self._rollout is not None and self._rollout.is_open:
            return "a rollout is under way"
        if draft.plan is None or draft.why_not:
            return draft.why_not
        if self.bar.chosen == "lab":
            return no_haproxy() or self._lab_refuses(draft)
        if self._inventory is None:
            return _CHOOSE
        return "; ".join(problems_in(fits(draft.plan, self._inventory[1])))

    def _lab_refuses(self, draft: Draft) -> str:
        """Why the lab cannot put a draft's scenario up, looked into once."""
        if self._refused[0] is not draft:
            self._refused = (draft, lab_refuses(draft.scenario))
        return self._refused[1]

    def _show_bar(self) -> None:
        rollout, why_not, inventory = self._rollout, self._why_not(), ""
        if self._inventory is not None:
            path, found = self._inventory
            inventory = f"{path.name}: {instances_text(len(found.instances))}"
        line = self._before(why_not) if rollout is None else rollout.line
        self.bar.show_rollout(rollout, line, why_not, inventory)

    def _before(self, why_not: str) -> Line:
        """What is said before anything is started."""
        if why_not == _CHOOSE:
            return "soft", _CHOOSE_WORDS[self.bar.chosen]
        if why_not:
            return "bad", f"✗ {why_not}"
        plan = self._drafts.now().plan
        assert plan is not None
        count = instances_text(len(plan.instances))
        return "heading", f"{plan.name}: {count}, window {plan.window}"

    def _show_waterfall(self) -> None:
        rollout, draft = self._rollout, self._drafts.now()
        plan = draft.plan if rollout is None else rollout.plan
        forecast = self._forecast_of(draft) if rollout is None else self._forecast[1]
        timeline = None if rollout is None else rollout.timeline
        actual = [] if timeline is None else actual_spans(timeline)
        now_s = None
        if rollout is not None and rollout.is_open and actual:
            now_s = max(span.end_s for span in actual)
        names = () if plan is None else plan.instances
        self.waterfall.show_spans(names, forecast, actual, now_s, self.theme)

    def _forecast_of(self, draft: Draft) -> tuple[Span, ...]:
        """The steps of a typical run of what a draft is of."""
        run = draft.run
        of = None if run is None or draft.plan is None else (run.key, len(run.result.runs))
        if of != self._forecast[0]:
            one = None if run is None else typical_run(run.result.runs)
            spans = (
                ()
                if one is None
                else forecast_spans(one.states, draft.scenario.all_instance_names())
            )
            self._forecast = (of, tuple(spans))
        return self._forecast[1]

    def _show_watched(self) -> None:
        rollout = self._rollout
        plan = self._drafts.now().plan if rollout is None else rollout.plan
        if plan is None:
            self.watched.show_lines([], self.theme)
            return
        timeline = None if rollout is None else rollout.timeline
        lines = [("heading", "Guards"), *guard_lines(plan, timeline)]
        lines += [("heading", "Forecast" if timeline is None else "Measured and forecast")]
        measured = {} if timeline is None else timeline["measured"]
        if rollout is not None and rollout.trial is not None:
            measured = {**measured, **rollout.trial.record.metrics}
        is_over = rollout is not None and rollout.code == 0
        lines += figure_lines(plan, measured, is_over=is_over)
        if rollout is not None and rollout.trial is not None:
            lines += [("bad", f"✗ {flag}") for flag in rollout.trial.record.flags]
        self.watched.show_lines(lines, self.theme)

    def _show_log(self) -> None:
        rollout, plan = self._rollout, self._drafts.now().plan
        lines = [] if plan is None else steps_in_words(plan)
        if rollout is not None:
            lines = [log_line(one) for one in rollout.lines]
        self.log.show_theme(self.theme)
        self.log.show_lines(lines, follows=rollout is not None)
        self._log_card.setVisible(bool(lines))
        # A rollout is watched, what a dry run says is read.
        is_read = rollout is not None and rollout.where == "dry"
        self._log_card.setMaximumHeight(MOST_PX if is_read else LEAST_LOG_PX)

    # What a person asks for

    def offered(self) -> list[PageAction]:
        """Start, halt, resume, approve, report."""
        return [
            ("execute.start", "Start the rollout", "Ctrl+Return", self.start),
            ("execute.halt", "Halt the rollout", "Ctrl+H", self.halt),
            ("execute.resume", "Resume the rollout", "Ctrl+R", self.resume),
            ("execute.approve", "Approve the next wave", "Ctrl+Alt+A", self.approve),
            ("execute.inventory", "Choose an inventory…", "Ctrl+Alt+I", self.ask_inventory),
            ("execute.report", "Write the report…", "Ctrl+Alt+R", self.ask_report),
        ]

    def ask_inventory(self) -> None:
        """Asks for the inventory's file."""
        ask_for_file(self, "Choose an inventory", "Inventories (*.yaml *.yml)", self.take_inventory)

    def take_inventory(self, path: Path) -> bool:
        """Takes an inventory; says why when it cannot."""
        try:
            self._inventory = path, read_inventory(path)
        except RollcastError as error:
            self.said.emit(f"✗ {error}")
            return False
        self.show_document()
        return True

    def start(self) -> None:
        """Starts what is chosen, once it is confirmed where it is for real."""
        if self._why_not():
            return
        draft = self._drafts.now()
        assert draft.plan is not None
        if self.bar.chosen == "inventory":
            assert self._inventory is not None
            ask_to_carry_out(
                self, *question(draft.plan, *self._inventory), then=self._start_for_real
            )
        elif self.bar.chosen == "lab":
            self._begin("lab").start_in_lab(asks=self.bar.asks.isChecked())
        else:
            assert self._inventory is not None
            self._begin("dry").start_on(self._inventory[0])
        self.show_document()

    def _begin(self, where: Where) -> Rollout:
        draft = self._drafts.now()
        assert draft.plan is not None
        self._forecast_of(draft)
        self._let_go()
        self._rollout = Rollout(self.jobs, draft.plan, draft.scenario, where)
        self._rollout.changed.connect(self.follow)
        return self._rollout

    def _start_for_real(self) -> None:
        if not self._why_not() and self._inventory is not None:
            asks = self.bar.asks.isChecked()
            self._begin("inventory").start_on(self._inventory[0], asks=asks)
            self.show_document()

    def halt(self) -> None:
        """Asks the executor to stop: the steps in hand are finished."""
        if self._rollout is not None and self._rollout.is_open and not self._rollout.is_settling:
            self._rollout.halt()
            self.show_document()

    def resume(self) -> None:
        """Goes on where it stands."""
        if self._rollout is not None and self._rollout.is_halted:
            self._rollout.resume()

    def give_up(self) -> None:
        """Leaves a halted rollout as it stands."""
        if self._rollout is not None and self._rollout.is_halted:
            self._rollout.give_up()

    def approve(self) -> None:
        """Lets the wave begin that waits."""
        if self._rollout is not None:
            try:
                self._rollout.approve()
            except RollcastError as error:
                self.said.emit(f"✗ {error}")

    def ask_report(self) -> None:
        """Asks where the report shall be written."""
        if self._rollout is not None and self._rollout.has_record:
            name = f"{self._rollout.plan.name}.html"
            ask_for_file(self, "Write the report to", "HTML (*.html)", self.write_report, name)

    def write_report(self, path: Path) -> None:
        """Writes the report, in a job since it draws."""
        rollout = self._rollout
        if rollout is None or rollout.timeline is None:
            return
        plan, timeline, forecast = rollout.plan, rollout.timeline, self._forecast[1]

        def work(talk: Talk) -> None:
            from studio.report import timeline_report  # noqa: PLC0415 - read when it is needed

            atomic_write_text(path, timeline_report(plan, timeline, forecast))
            talk.land(path)

        self.jobs.run(f"Report {path.name}", work, lambda _: self.said.emit(f"✓ {path} is written"))

    def is_busy(self) -> str | None:
        """What closing the window would halt."""
        rollout = self._rollout
        if rollout is None or not rollout.is_open or rollout.where == "dry":
            return None
        where = (
            "in the lab"
            if rollout.where == "lab"
            else f"on {instances_text(len(rollout.plan.instances))}"
        )
        if rollout.is_halted:
            return f"The rollout of {rollout.plan.name} {where} stands halted; it is left as it is."
        return (
            f"A rollout of {rollout.plan.name} goes on {where}. Closing halts it: the steps in hand "
            "are finished first."
        )

    def halt_then(self, then: Callable[[], object]) -> None:
        """Halts what goes on; once no step is in hand it is left so, and then the rest is done."""
        rollout = self._rollout
        if rollout is None or not rollout.is_open:
            then()
            return

        def look() -> None:
            if rollout.is_open and not (rollout.is_halted or rollout.is_settling):
                return
            rollout.changed.disconnect(look)
            rollout.give_up()
            then()

        rollout.changed.connect(look)
        rollout.halt()
        look()

    def leave(self) -> None:
        """Halts what goes on; whoever waits for the jobs waits for its end."""
        if self._rollout is not None:
            self._rollout.give_up()


def _card(inside: QWidget, margins: tuple[int, int, int, int] = (10, 8, 10, 8)) -> QFrame:
    card = QFrame()
    card.setObjectName("card")
    layout = QVBoxLayout(card)
    layout.setContentsMargins(*margins)
    layout.addWidget(inside)
    return card
